import assert from "node:assert/strict";
import test from "node:test";
import { fullDiff } from "../../../node_modules/@aws-cdk/cloudformation-diff/lib/index.js";
import { plan } from "../../../control_plane/deployments/deployers/resident_plan.mjs";

const document = (action) => ({ Statement: [{ Effect: "Allow", Action: action, Resource: "*" }] });
const policy = (action) => ({ Type: "AWS::IAM::ManagedPolicy", Properties: { PolicyDocument: document(action) } });
const role = { Type: "AWS::IAM::Role", Properties: { ManagedPolicyArns: [{ Ref: "Access" }] } };
const bucket = { Type: "AWS::S3::Bucket" };
const ofBucket = {
  Type: "AWS::S3::BucketPolicy",
  Properties: { Bucket: { Ref: "Bucket" }, PolicyDocument: document("s3:GetObject") },
};

test("whoever a changed policy is attached to is told with it, though nothing changes in them", () => {
  const found = plan([
    fullDiff({ Resources: { Access: policy("s3:Get*"), Role: role } }, { Resources: { Access: policy("s3:*"), Role: role } }),
  ]);
  assert.deepEqual(
    found.resources.map((one) => [one.logical_id, one.action, one.properties]),
    [["Access", "change", ["PolicyDocument"]]],
  );
  assert.deepEqual(found.before, [{ Access: policy("s3:Get*"), Role: role }]);
  assert.deepEqual(found.after, [{ Access: policy("s3:*"), Role: role }]);
});

test("what comes and goes is on one side alone, and what is about nobody's access on none", () => {
  const key = { Type: "AWS::IAM::AccessKey", Properties: { UserName: "ada" } };
  const [before, after] = [
    { Bucket: bucket, Policy: ofBucket },
    { Role: role, Key: key },
  ];
  const found = plan([fullDiff({ Resources: before }, { Resources: after })]);
  assert.deepEqual([found.before, found.after], [[{ Policy: ofBucket }], [{ Role: role }]]);
  assert.deepEqual(found.resources.map((one) => [one.logical_id, one.action]).sort(), [
    ["Bucket", "remove"],
    ["Key", "add"],
    ["Policy", "remove"],
    ["Role", "add"],
  ]);
});

test("a stack and those nested in it stand beside each other", () => {
  const found = plan([fullDiff({}, { Resources: { Role: role } }), fullDiff({ Resources: { Access: policy("s3:*") } }, {})]);
  assert.deepEqual(
    [found.before, found.after],
    [
      [{}, { Access: policy("s3:*") }],
      [{ Role: role }, {}],
    ],
  );
});
