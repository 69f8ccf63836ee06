import assert from "node:assert/strict";
import test from "node:test";
import { Hosts, OWN, otherAddresses } from "../../../web/uploads/static/uploads/hosts.js";

const ADDRESS = "https://ephys.s3.eu-central-1.amazonaws.com";
const OTHERS = otherAddresses(ADDRESS);
const used = (hosts) => hosts.slots.hosts.map(({ name }) => name);
const proveAll = (hosts) => {
  for (let address = hosts.toTry(); address; address = hosts.toTry()) hosts.proved(address);
};

test("a bucket has its own name, and others by its path and by IPv6", () => {
  assert.deepEqual(OTHERS, [
    "https://s3.eu-central-1.amazonaws.com/ephys",
    "https://ephys.s3.dualstack.eu-central-1.amazonaws.com",
    "https://s3.dualstack.eu-central-1.amazonaws.com/ephys",
  ]);
  assert.deepEqual(otherAddresses("https://ephys.s3.cn-north-1.amazonaws.com.cn").slice(0, 1), [
    "https://s3.cn-north-1.amazonaws.com.cn/ephys",
  ]);
});

test("a bucket whose name has dots is under no certificate but its path's", () => {
  assert.deepEqual(otherAddresses("https://lab.ephys.s3.us-east-1.amazonaws.com"), [
    "https://s3.us-east-1.amazonaws.com/lab.ephys",
    "https://s3.dualstack.us-east-1.amazonaws.com/lab.ephys",
  ]);
});

test("an address of another form has no others", () => {
  for (const address of [
    "http://localhost:4566/ephys",
    "http://ephys.s3.us-east-1.amazonaws.com",
    "https://ephys.s3.us-east-1.amazonaws.com:8443",
    "https://s3.us-east-1.amazonaws.com/ephys",
    "https://ephys.s3.dualstack.us-east-1.amazonaws.com",
    "https://ephys.s3-fips.us-east-1.amazonaws.com",
    "https://ephys.bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com",
    "https://ephys.s3.us-east-1.amazonaws.com.example.org",
    "https://files.example.org/ephys",
  ])
    assert.deepEqual(otherAddresses(address), [], address);
});

test("without the setting there is the bucket's own name, with six requests", () => {
  const hosts = new Hosts();
  assert.deepEqual(hosts.slots, { all: 6, hosts: [{ name: OWN, most: 6 }] });
  assert.equal(hosts.toTry(), null);
});

test("another name is used after one small request to it succeeded, one after the other, and sixteen requests are the most", () => {
  const hosts = new Hosts({ others: OTHERS });
  assert.equal(hosts.toTry(), OTHERS[0]);
  assert.deepEqual([used(hosts), hosts.toTry()], [[OWN], null]);
  hosts.proved(OTHERS[0]);
  assert.deepEqual([used(hosts), hosts.slots.all], [[OWN, OTHERS[0]], 12]);
  assert.equal(hosts.toTry(), OTHERS[1]);
  hosts.proved(OTHERS[1]);
  assert.equal(hosts.slots.all, 16);
  // More connections than that would not be used.
  assert.equal(hosts.toTry(), null);
  assert.ok(hosts.slots.hosts.every(({ most }) => most === 6));
});

test("who saves data has six requests in all, and no others are tried for", () => {
  const hosts = new Hosts({ others: OTHERS, savesData: true });
  assert.deepEqual([hosts.slots.all, hosts.toTry()], [6, null]);
});

test("a name is dropped at its first error, for the session, and the next is tried", () => {
  const hosts = new Hosts({ others: OTHERS });
  assert.equal(hosts.lost(hosts.toTry()), true);
  assert.equal(hosts.toTry(), OTHERS[1]);
  hosts.proved(OTHERS[1]);
  hosts.proved(OTHERS[0]);
  assert.deepEqual(used(hosts), [OWN, OTHERS[1]]);
  assert.equal(hosts.lost(OTHERS[1]), true);
  // Other requests that were under way to it count as little.
  assert.equal(hosts.lost(OTHERS[1]), true);
  hosts.proved(OTHERS[1]);
  assert.deepEqual(used(hosts), [OWN]);
  assert.equal(hosts.toTry(), OTHERS[2]);
});

test("a dropped name leaves room for another to be tried", () => {
  const hosts = new Hosts({ others: OTHERS });
  proveAll(hosts);
  assert.deepEqual(used(hosts), [OWN, OTHERS[0], OTHERS[1]]);
  hosts.lost(OTHERS[0]);
  assert.equal(hosts.toTry(), OTHERS[2]);
});

test("what goes wrong under the bucket's own name is the file's trouble", () => {
  assert.equal(new Hosts({ others: OTHERS }).lost(OWN), false);
});
