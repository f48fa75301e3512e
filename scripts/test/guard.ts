/**
 * Loaded into every test file with `--import`. uvu says nothing about a suite whose `.run()` was forgotten, and
 * `.only` leaves out the other tests in silence: guarded-uvu.ts, given to the file in place of uvu, makes both fail.
 */
import { registerHooks } from 'node:module';

const guarded = new URL('./guarded-uvu.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'uvu' && context.parentURL !== guarded) return { url: guarded, shortCircuit: true };
    return next(specifier, context);
  },
});
