// S3's answers to a list: an answer as AWS's API reference prints it, and what is no answer of S3's, or not all of one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readListing } from "../../../control_plane/research/storage/static/storage/listing.js";

// API reference, "ListObjectsV2", examples; with `encoding-type=url`, an owner, and a checksum's kind.
const AS_PRINTED = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>bucket</Name><Prefix>lab%2F</Prefix><KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><EncodingType>url</EncodingType>
  <Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
  <Contents>
    <Key>lab/%3CKey%3Emy+image%26%2B.jpg</Key>
    <LastModified>2009-10-12T17:50:30.000Z</LastModified>
    <ETag>"fba9dede5f27731c9771645a39863328"</ETag>
    <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>434234</Size>
    <Owner><ID>75aa</ID><DisplayName>who &amp; what</DisplayName></Owner>
    <StorageClass>STANDARD</StorageClass>
  </Contents>
  <Contents><Key>lab/%C3%A9%F0%9F%98%80</Key><LastModified>2009-10-12T17:50:31.000Z</LastModified><ETag>&#34;a&#x22;</ETag><Size>0</Size></Contents>
  <CommonPrefixes><Prefix>lab/photos%20of%20May/</Prefix></CommonPrefixes>
</ListBucketResult>`;

test("an answer as AWS prints it is read whole", () => {
  assert.deepEqual(readListing(AS_PRINTED), {
    objects: [
      {
        key: "lab/<Key>my image&+.jpg",
        size: 434234,
        modified: "2009-10-12T17:50:30.000Z",
        etag: '"fba9dede5f27731c9771645a39863328"',
      },
      { key: "lab/é😀", size: 0, modified: "2009-10-12T17:50:31.000Z", etag: '"a"' },
    ],
    folders: ["lab/photos of May/"],
    next: "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=",
  });
});

test("the last page has nowhere to go on", () => {
  assert.equal(readListing(AS_PRINTED.replace("<IsTruncated>true", "<IsTruncated>false")).next, "");
});

test("what is cut off, or is a page of somebody else's, is no list", () => {
  for (const part of [0, 0.05, 0.5, 0.9, 0.999]) assert.equal(readListing(AS_PRINTED.slice(0, part * AS_PRINTED.length)), null);
  assert.equal(readListing("<!doctype html><html><body>Sign in. <ListBucketResult></ListBucketResult></body></html>"), null);
  assert.equal(readListing('<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>'), null);
});
