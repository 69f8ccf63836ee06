import assert from "node:assert/strict";
import test from "node:test";
import { plan } from "../../../control_plane/deployments/resident_plan.mjs";

const denial = { effect: "Deny", actions: { values: ["*"] }, resources: { values: ["*"] }, condition: { Null: { "aws:TokenIssueTime": "false" } } };
const group = { resourceType: "AWS::IAM::Group", isRemoval: true };

// As CDK's engine has a diff: an entry for each resource, and what changes for IAM.
const diff = (changes, { additions = [], removals = [] }) => ({
  resources: { forEachDifference: (visit) => changes.forEach((change, index) => visit(`Resource${index}`, change)) },
  iamChanges: { statements: { additions, removals }, managedPolicies: { additions: [], removals: [] } },
});

test("a denial of sessions that goes with the last key holder's group lets nobody do more", () => {
  const found = plan([diff([group], { removals: [denial] })], "broadening");
  assert.equal(found.permissions, "non-broadening");
  assert.deepEqual(found.statements.map((one) => [one.change, one.effect, one.widens]), [["remove", "Deny", false]]);
});

test("the same denial taken from a group that stays lets its members do more", () => {
  const changed = { resourceType: "AWS::IAM::Group", isUpdate: true, propertyUpdates: { Policies: {} } };
  const found = plan([diff([changed], { removals: [denial] })], "broadening");
  assert.equal(found.permissions, "broadening");
  assert.equal(found.statements[0].widens, true);
});

test("whatever else is allowed beside it is asked about", () => {
  const allowed = { effect: "Allow", actions: { values: ["s3:GetObject"] }, resources: { values: ["*"] } };
  const another = { ...denial, condition: { StringEquals: { "aws:userid": "x" } } };
  for (const statements of [{ additions: [allowed], removals: [denial] }, { removals: [denial, another] }]) {
    const found = plan([diff([group], statements)], "broadening");
    assert.equal(found.permissions, "broadening");
    assert.ok(found.statements.some((one) => one.widens));
  }
});
