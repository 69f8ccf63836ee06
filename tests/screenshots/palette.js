// A screenshot as a PNG of at most 256 colours, which a page of text hardly exceeds, and which is a third of the size.
async (given) => {
  const bytes = Uint8Array.from(atob(given), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);

  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 256).map(([pixel]) => pixel);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const colours = palette.map(parts);
  const places = new Map(palette.map((pixel, index) => [pixel, index]));
  // What is not in the palette takes the colour there that is nearest.
  const nearest = (pixel) => {
    const [red, green, blue] = parts(pixel);
    let [best, least] = [0, Infinity];
    colours.forEach(([r, g, b], index) => {
      const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  };
  // Each row begins with the number of its filter: none.
  const rows = new Uint8Array((width + 1) * height);
  pixels.forEach((pixel, index) => {
    if (!places.has(pixel)) places.set(pixel, nearest(pixel));
    rows[index + Math.floor(index / width) + 1] = places.get(pixel);
  });
  const deflated = new Uint8Array(await new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());

  const table = Array.from({ length: 256 }, (_, index) => {
    let sum = index;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
    return sum >>> 0;
  });
  const crc = (data) => (data.reduce((sum, byte) => table[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
  const number = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  const chunk = (kind, data) => {
    const body = new Uint8Array([...kind].length + data.length);
    body.set([...kind].map((letter) => letter.charCodeAt(0)));
    body.set(data, 4);
    return [new Uint8Array(number(data.length)), body, new Uint8Array(number(crc(body)))];
  };
  const file = new Blob([
    new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]),
    ...chunk("IHDR", [...number(width), ...number(height), 8, 3, 0, 0, 0]),
    ...chunk("PLTE", colours.flat()),
    ...chunk("IDAT", deflated),
    ...chunk("IEND", []),
  ]);
  const written = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < written.length; start += 32768) text += String.fromCharCode(...written.subarray(start, start + 32768));
  return btoa(text);
}
