// A plan, in plain data, from what CDK's engine finds between two templates.

// What the diffs of a stack and of those nested in it say. Whether that lets anybody do more is compared elsewhere, of all
// that IAM is told of before and after (iam_comparison.py): a policy is judged by whom it is attached to, changed or not.
export const plan = (diffs) => ({
  resources: diffs.flatMap(changed),
  before: diffs.map(side("old")),
  after: diffs.map(side("new")),
});

const changed = (diff) => {
  const found = [];
  diff.resources.forEachDifference((logicalId, change) => {
    const replaced = ["WILL_REPLACE", "MAY_REPLACE"].includes(change.changeImpact);
    found.push({
      logical_id: logicalId,
      type: change.resourceType,
      action: change.isAddition ? "add" : change.isRemoval ? "remove" : replaced ? "replace" : "change",
      properties: change.isUpdate ? Object.keys(change.propertyUpdates).sort() : [],
    });
  });
  return found;
};

// CDK keeps what does not differ beside what does, as a private matter of its own; a test holds it to that.
const all = (diff) => Object.entries(diff.resources.diffs);

const side = (which) => (diff) =>
  Object.fromEntries(
    all(diff)
      .filter(([, one]) => one[`${which}Value`] && (isAboutAccess(one.oldValue) || isAboutAccess(one.newValue)))
      .map(([logicalId, one]) => [
        logicalId,
        { Type: one[`${which}Value`].Type, Properties: one[`${which}Value`].Properties ?? {} },
      ]),
  );

// IAM's own, and whatever has a policy or lets somebody in.
const isAboutAccess = (resource) => {
  if (!resource) return false;
  if (/^AWS::(IAM|SSO)::|^AWS::Lambda::Permission$/.test(resource.Type)) return resource.Type !== "AWS::IAM::AccessKey";
  return Object.values(resource.Properties ?? {}).some((value) => value?.Statement !== undefined);
};
