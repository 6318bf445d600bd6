// A rule that oxlint does not have: `new Date()` and `Date()` read the clock, `new Date(ms)` does not.
const readsClock = (node) => node.callee.type === "Identifier" && node.callee.name === "Date";

const noClock = {
  create(context) {
    const report = (node) =>
      context.report({ node, message: "Take nowMs as an argument: decisions do not read the clock." });
    return {
      NewExpression: (node) => readsClock(node) && node.arguments.length === 0 && report(node),
      CallExpression: (node) => readsClock(node) && report(node),
    };
  },
};

export default { meta: { name: "purity" }, rules: { "no-clock": noClock } };
