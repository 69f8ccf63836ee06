// As much of a browser's DOMParser as S3's answers need, for tests.
const ENTITIES = { quot: '"', amp: "&", lt: "<", gt: ">", apos: "'" };
const plain = (text) => text.replace(/&(\w+);/g, (_, name) => ENTITIES[name]);

class Node {
  children = [];
  text = "";

  constructor(tagName) {
    this.tagName = tagName;
  }
  get textContent() {
    return this.text + this.children.map((child) => child.textContent).join("");
  }
  get documentElement() {
    return this.children[0];
  }
  getElementsByTagName(name) {
    return this.children.flatMap((child) => [...(child.tagName === name ? [child] : []), ...child.getElementsByTagName(name)]);
  }
}

export class DOMParser {
  parseFromString(body) {
    const document = new Node("");
    const open = [document];
    for (const [, end, name, empty, text] of body.matchAll(/<(\/?)([A-Za-z0-9]+)[^>]*?(\/?)>|([^<]+)/g)) {
      if (text !== undefined) open.at(-1).text += plain(text);
      else if (end) open.pop();
      else {
        const node = new Node(name);
        open.at(-1).children.push(node);
        if (!empty) open.push(node);
      }
    }
    return document;
  }
}
