// A plan, in plain data, from what CDK's engine finds between two templates.

// What the diffs of a stack and of those nested in it say, and whether it lets anybody do more.
export const plan = (diffs, permissions) => {
  const planned = { permissions, resources: diffs.flatMap(resources), statements: diffs.flatMap((diff) => statements(diff.iamChanges)) };
  if (permissions !== "broadening" || !goesWithItsGroup(planned)) return planned;
  return { ...planned, permissions: "non-broadening", statements: planned.statements.map((one) => ({ ...one, widens: false })) };
};

// The last key holder's removal takes their IAM group away, and with it the denial of sessions by keys: nobody is let in by that.
const goesWithItsGroup = ({ resources, statements }) => {
  const widening = statements.filter((one) => one.widens);
  const isDenialOfSessions = (one) => one.change === "remove" && one.effect === "Deny" && one.condition.includes("aws:TokenIssueTime");
  const isGroupRemoved = resources.some((one) => one.type === "AWS::IAM::Group" && one.action === "remove");
  return widening.length > 0 && widening.every(isDenialOfSessions) && isGroupRemoved;
};

const resources = (diff) => {
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

const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const words = (list) => (list?.not ? "everything but " : "") + (list?.values ?? []).map(text).join(", ");

const statements = (changes) => [
  ...changes.statements.additions.map((one) => statement("add", one)),
  ...changes.statements.removals.map((one) => statement("remove", one)),
  ...changes.managedPolicies.additions.map((one) => attachment("add", one)),
  ...changes.managedPolicies.removals.map((one) => attachment("remove", one)),
];

const statement = (change, one) => ({
  change,
  effect: String(one.effect),
  actions: words(one.actions),
  resource: words(one.resources),
  principal: words(one.principals),
  condition: one.condition ? text(one.condition) : "",
  widens: (change === "add") === (String(one.effect) === "Allow"),
});

const attachment = (change, one) => ({
  change,
  effect: "Attach",
  actions: text(one.managedPolicyArn),
  resource: "",
  principal: text(one.identityArn),
  condition: "",
  widens: change === "add",
});

// "none", "non-broadening" or "broadening", as CDK has them.
export const broadened = (diffs) => {
  if (!diffs.some((found) => found.iamChanges.hasChanges)) return "none";
  return diffs.some((found) => found.permissionsBroadened) ? "broadening" : "non-broadening";
};
