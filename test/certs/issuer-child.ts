// Run by issuer-kill.test.ts: orders one certificate, and is killed at it.
import { readFileSync, writeFileSync } from 'node:fs';
import { createAcmeIssuer } from '../../src/certs/issuer.ts';
import type { AcmeAccount, Challenge } from '../../src/certs/types.ts';

const [directory, caFile, accountFile, name] = process.argv.slice(2);
const issuer = createAcmeIssuer({
  directory,
  ca: readFileSync(caFile, 'utf8'),
  accounts: {
    accounts: async () => JSON.parse(readFileSync(accountFile, 'utf8')) as AcmeAccount[],
    saveAccount: async (account) => writeFileSync(accountFile, JSON.stringify([account])),
  },
});
const tell = async (challenge: Challenge) => {
  process.send?.({ challenge });
};
await issuer.issue(
  { id: name, names: [name], keyType: 'ecdsa' },
  {
    now: Date.now,
    present: tell,
    cleanup: async () => {},
    onStep: (step) => console.log(step),
    signal: new AbortController().signal,
  },
);
console.log('done');
