import { readFileSync } from 'node:fs';
import type { AcmeIssuer } from '../src/certs/issuer.ts';
import { type CertificateStore, IssueError } from '../src/certs/types.ts';
import type { CertificateValues } from './certificate-settings.ts';
import { CliError } from './failure.ts';
import { version } from './version.ts';

/** The CAs in their order; none where ACME is off. @throws CliError */
export async function acmeIssuers(options: CertificateValues, accounts: CertificateStore): Promise<AcmeIssuer[]> {
  const { acmeEabKid, acmeEabKey, acmeDnsHook } = options;
  const directories = [options.acme, options.acmeFallback].filter((url) => url !== null);
  if (directories.length === 0) return [];
  if ((acmeEabKid === undefined) !== (acmeEabKey === undefined)) {
    throw new CliError('External account binding needs both its key id and its key.', {
      hint: 'Give --acme-eab-kid and --acme-eab-key (better: OO_ACME_EAB_KEY), as the CA has given them.',
    });
  }
  const { createAcmeIssuer } = await import('../src/certs/issuer.ts');
  const ca = options.acmeCaFile === undefined ? undefined : readCaFile(options.acmeCaFile);
  const challenges = acmeDnsHook === undefined ? options.acmeChallenges : withDns(options.acmeChallenges);
  return directories.map((directory, i) =>
    made(() =>
      createAcmeIssuer({
        directory,
        ca,
        challenges,
        contact: options.acmeEmail,
        // An account at one CA says nothing to another.
        eab: i === 0 && acmeEabKid && acmeEabKey ? { kid: acmeEabKid, hmacKey: acmeEabKey } : undefined,
        // Nor has another CA the same profiles.
        profile: i === 0 ? options.acmeProfile : undefined,
        dnsHook: acmeDnsHook,
        userAgent: `oo/${version()}`,
        accounts,
      }),
    ),
  );
}

/** What can't work at all is told at the start, as everything that is wrong with a flag. */
function made(create: () => AcmeIssuer): AcmeIssuer {
  try {
    return create();
  } catch (cause) {
    if (!(cause instanceof IssueError)) throw cause;
    const { message, hint } = cause.failure;
    throw new CliError(message, { hint, cause });
  }
}

function withDns(challenges: CertificateValues['acmeChallenges']) {
  return challenges.includes('dns-01') ? challenges : [...challenges, 'dns-01' as const];
}

function readCaFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const hint = 'Name a PEM file that this user may read with --acme-ca-file.';
    throw new CliError(`The CA file can't be read: ${(cause as Error).message}.`, { hint, cause });
  }
}
