import assert from "node:assert/strict";
import test from "node:test";
import { Hosts, OWN } from "../../../web/uploads/static/uploads/hosts.js";

const OTHERS = [
  "https://s3.eu-central-1.amazonaws.com/ephys",
  "https://ephys.s3.dualstack.eu-central-1.amazonaws.com",
  "https://s3.dualstack.eu-central-1.amazonaws.com/ephys",
];
const used = (hosts) => hosts.slots.hosts.map(({ name }) => name);
const proveAll = (hosts) => {
  for (let address = hosts.toTry(); address; address = hosts.toTry()) hosts.proved(address);
};

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
