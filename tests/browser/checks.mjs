// Counts checks and prints each as it is done; a check that throws has failed, and the rest goes on.
export function checks(print = console.log) {
  let passed = 0;
  let failed = 0;
  return {
    async check(name, body) {
      try {
        await body();
        passed += 1;
        print(`ok      ${name}`);
        return true;
      } catch (error) {
        failed += 1;
        print(`FAILED  ${name}\n        ${told(error)}`);
        return false;
      }
    },
    /** For what the federation at hand cannot show: said, so that nobody takes it for checked. */
    skip: (name, why) => print(`skipped ${name}: ${why}`),
    finish() {
      print(`${passed} passed, ${failed} failed`);
      return failed === 0 && passed > 0 ? 0 : 1;
    },
  };
}

export function equal(actual, expected, what = 'value') {
  const [a, e] = [actual, expected].map((each) => JSON.stringify(each));
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
}

export function that(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

const told = (error) =>
  String(error?.message ?? error).split('\n').slice(0, 12).map((line) => line.slice(0, 600)).join('\n        ');
