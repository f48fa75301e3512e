import * as uvu from 'uvu';

export const exec = uvu.exec;

/** Names of suites that hold tests and were not run. */
const waiting = new Map<object, string>();
const complaints: string[] = [];

/** uvu's suite, which must be run. */
export function suite<T = Record<string, unknown>>(name = 'unnamed', state?: T): uvu.Test<T> {
  return guard(uvu.suite(name, state), name);
}

export const test = guard(uvu.test, 'test');
// uvu's ready-made suite exists in every file: it needs running only where it is used.
waiting.delete(test);

process.on('exit', () => {
  for (const name of waiting.values()) complaints.push(`the suite "${name}" was never run: call its .run()`);
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exitCode ||= 1;
});

function guard<T>(real: uvu.Test<T>, name: string): uvu.Test<T> {
  const add = (title: string, body: uvu.Callback<T>) => {
    waiting.set(guarded, name);
    real(title, body);
  };
  const guarded: uvu.Test<T> = Object.assign(add, real, {
    only: (title: string, body: uvu.Callback<T>) => {
      complaints.push(`"${name}" has .only("${title}"): its other tests are left out`);
      real.only(title, body);
    },
    run: () => {
      waiting.delete(guarded);
      real.run();
    },
  });
  waiting.set(guarded, name);
  return guarded;
}
