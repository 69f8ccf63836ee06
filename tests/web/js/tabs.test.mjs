import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { Concurrency } from "../../../web/uploads/static/uploads/concurrency.js";
import { Tabs } from "../../../web/uploads/static/uploads/tabs.js";

const settle = async () => {
  for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
};

// A browser: its locks, and the channel that each tab hears the others on.
const browser = () => {
  const held = new Map();
  const channels = [];
  const locks = {
    request: async (name, work) => {
      held.set(name, true);
      await work();
      held.delete(name);
    },
    query: async () => ({ held: [...held.keys()].map((name) => ({ name })) }),
  };
  const tab = () => {
    const channel = new EventTarget();
    channel.postMessage = (data) => {
      for (const other of channels) if (other !== channel) other.dispatchEvent(new MessageEvent("message", { data }));
    };
    channels.push(channel);
    const here = { clock: 0, changed: 0, slowed: 0, channel };
    here.tabs = new Tabs({ channel, locks, now: () => here.clock });
    here.tabs.listen({ changed: () => (here.changed += 1), slow: () => (here.slowed += 1) });
    return here;
  };
  return { held, locks, tab };
};

test("alone, or where the browser has no locks, a tab has all of it", async () => {
  const { tab } = browser();
  const { tabs } = tab();
  tabs.join();
  await settle();
  assert.equal(tabs.shareOf(16), 16);
  const without = new Tabs();
  without.join();
  without.slow();
  without.leave();
  assert.equal(without.shareOf(6), 6);
});

test("tabs that send share what a person may, one request each at least, and are told when that changes", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { tab, held } = browser();
  const [first, second, idle] = [tab(), tab(), tab()];
  for (const { tabs } of [first, second]) tabs.join();
  await settle();
  assert.deepEqual([first.tabs.shareOf(16), second.tabs.shareOf(16), first.tabs.shareOf(1)], [8, 8, 1]);
  assert.ok(first.changed && second.changed);
  // Between two files nothing changes.
  second.tabs.leave();
  context.mock.timers.tick(1000);
  second.tabs.join();
  context.mock.timers.tick(5000);
  await settle();
  assert.equal(held.size, 2);
  second.tabs.leave();
  context.mock.timers.tick(5000);
  await settle();
  assert.deepEqual([held.size, first.tabs.shareOf(16)], [1, 16]);
  idle.tabs.join();
  await settle();
  assert.deepEqual([first.tabs.shareOf(6), idle.tabs.shareOf(6)], [3, 3]);
});

test("a tab that broke down without a word is not counted for long", async () => {
  const { tab, held } = browser();
  const [first, second] = [tab(), tab()];
  for (const { tabs } of [first, second]) tabs.join();
  await settle();
  // The browser takes away the locks of a tab that is gone; nobody is told.
  held.delete([...held.keys()][1]);
  first.tabs.join();
  await settle();
  assert.equal(first.tabs.shareOf(6), 3);
  first.clock = 11_000;
  first.tabs.join();
  await settle();
  assert.equal(first.tabs.shareOf(6), 6);
});

test("locks of others in the same browser are none of ours", async () => {
  const { tab, locks } = browser();
  const here = tab();
  locks.request("something-else", () => new Promise(() => {}));
  here.tabs.join();
  await settle();
  assert.equal(here.tabs.shareOf(6), 6);
});

test("what one tab has trouble with slows all of them down, once", async () => {
  const { tab } = browser();
  const made = [tab(), tab()];
  const [first, second] = made.map((here) => new Concurrency({ now: () => here.clock, tabs: here.tabs }));
  first.tooMany();
  assert.deepEqual([first.limit, second.limit, made[1].slowed], [1, 1, 1]);
  second.tooMany();
  assert.equal(made[0].slowed, 0);
  made[0].clock = made[1].clock = 5000;
  second.tooMany();
  assert.equal(made[0].slowed, 1);
});

test("a tab that another one joins begins no more than its share", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { tab } = browser();
  const made = [tab(), tab(), tab(), tab(), tab(), tab()];
  const all = made.map((here) => new Concurrency({ now: () => here.clock, tabs: here.tabs }));
  const slots = [];
  for (const concurrency of all) {
    for (let times = 0; times < 3; times += 1) concurrency.take().then((slot) => slots.push(slot));
    await settle();
  }
  assert.deepEqual(
    all.map(({ limit }) => limit),
    [1, 1, 1, 1, 1, 1],
  );
  // The others end, and the first has more again.
  for (let turns = 0; slots.length && turns < 20; turns += 1) {
    for (const slot of slots.splice(0)) slot.give();
    await settle();
  }
  all[0].take();
  mock.timers.tick(5000);
  await settle();
  assert.equal(all[0].limit, 2);
  mock.timers.reset();
});
