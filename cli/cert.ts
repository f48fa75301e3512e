import type { CAC } from 'cac';
import { type CertificateInfo, noCertificate, type WaitingName } from '../src/admin/certs.ts';
import { addCertAttempts } from './cert-renew.ts';
import { addCertSave } from './cert-save.ts';
import { detailText } from './cert-text.ts';
import { type CommonOptions, idOf, withCertificates, withOffline, withOutput } from './certs-common.ts';
import { CliError } from './failure.ts';
import type { Io } from './io.ts';
import { day, formatOf, minute, printable, second, sentence, structured, table } from './output.ts';

/** More lines than this about what waits help nobody: `oo cert get` says more of each. */
const maxWaiting = 10;

/** `oo cert list|get|save|renew|check|rm|raw`. */
export function addCertCommands(program: CAC, io: Io): void {
  const list = program
    .command('cert list', 'List the certificates, the last updated first')
    .alias('cert ls')
    .example('oo certs ls')
    .example('oo certs ls -o json');
  withOffline(withOutput(list)).action((options: CommonOptions) => listCerts(io, options));

  const get = program
    .command('cert get <name>', 'All about one name: chain, validity, renewal, the last error and what to do')
    .example('oo cert get app.example.com')
    .example('oo cert get app.example.com -o json');
  withOffline(withOutput(get)).action((name: string, options: CommonOptions) => getCert(io, name, options));

  addCertSave(program, io);
  addCertAttempts(program, io);

  const remove = program
    .command('cert rm <...names>', 'Remove certificates; names that routes still have get new ones')
    .alias('cert remove')
    .example('oo cert rm old.example.com');
  withOffline(withOutput(remove)).action((names: string[], options: CommonOptions) => removeCerts(io, names, options));

  const raw = program
    .command('cert raw <name>', 'Print a certificate and its intermediates as PEM')
    .example('oo cert raw app.example.com > fullchain.pem')
    .example('oo cert raw app.example.com --with-key    # its private key, too')
    .option('--with-key', 'Print the private key after it');
  withOffline(raw).action((name: string, options: CommonOptions & { withKey?: boolean }) => rawCert(io, name, options));
}

async function listCerts(io: Io, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const { certs, waiting } = await withCertificates(io, options, async (api) => ({
    certs: await api.list(),
    waiting: format === 'table' ? await api.waiting() : [],
  }));
  if (format === 'name') io.out(certs.map(({ id }) => `${printable(id)}\n`).join(''));
  else if (format === 'table') io.out(certsTable(certs));
  else io.out(await structured(certs, format));
  if (format !== 'table') return;
  io.err(waitingText(waiting));
  if (certs.length + waiting.length === 0)
    io.err('There are no certificates yet: a name gets one when a route has it, or by oo cert save.\n');
}

/** The seed's table. Dates are in UTC; a serial is shown by its first 8 digits; an account's key has no more than its dates. */
export function certsTable(certs: readonly CertificateInfo[]): string {
  const heads = ['CERT ID', 'CREATED AT', 'UPDATED AT', 'COMMON NAME', 'ISSUER', 'NOT BEFORE', 'NOT AFTER', 'SERIAL'];
  const rows = certs.map((cert) => [
    cert.id,
    day(cert.createdAt),
    second(cert.updatedAt),
    cert.commonName ?? '',
    cert.issuer ?? '',
    day(cert.notBefore),
    day(cert.notAfter),
    (cert.serialNumber ?? '').slice(0, 8),
  ]);
  return table(
    heads,
    rows.map((row) => row.map(printable)),
  );
}

function waitingText(waiting: readonly WaitingName[]): string {
  if (waiting.length === 0) return '';
  const lines = waiting.slice(0, maxWaiting).map(({ id, reason, nextTryAt }) => {
    const next = nextTryAt ? ` Next try: ${minute(nextTryAt)}.` : '';
    return `${printable(id)} has no certificate yet: ${sentence(printable(reason))}${next}`;
  });
  if (waiting.length > maxWaiting) lines.push(`… and ${waiting.length - maxWaiting} more.`);
  return `${lines.join('\n')}\nMore of each: oo cert get NAME\n`;
}

async function getCert(io: Io, name: string, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const id = idOf(name);
  const detail = await withCertificates(io, options, (api) => api.get(id));
  if (!detail) throw noCertificate(id);
  if (format === 'name') io.out(`${printable(detail.id)}\n`);
  else io.out(format === 'table' ? detailText(detail, Date.now()) : await structured(detail, format));
}

async function removeCerts(io: Io, names: readonly string[], options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const ids = names.map(idOf);
  const removed: string[] = [];
  const missing: string[] = [];
  await withCertificates(io, options, async (api) => {
    for (const id of ids) {
      const outcome = await removedOrNot(() => api.remove(id));
      (outcome ? removed : missing).push(id);
      if (outcome && outcome.routes.length > 0 && format === 'table')
        io.err(`${id} is still in the route ${outcome.routes[0]}, so oo gets a new one.\n`);
    }
  });
  if (format === 'name') io.out(removed.map((id) => `${id}\n`).join(''));
  else if (format === 'table') io.out(removed.map((id) => `removed ${id}\n`).join(''));
  else io.out(await structured({ removed, missing }, format));
  if (missing.length === 0) return;
  throw new CliError(`There is no certificate ${missing.join(', ')}.`, { hint: 'oo certs ls shows those that are.' });
}

/** A server answers 404 where the database says undefined. */
async function removedOrNot<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if ((error as { code?: string }).code === 'OO_NO_CERTIFICATE') return undefined;
    throw error;
  }
}

async function rawCert(io: Io, name: string, options: CommonOptions & { withKey?: boolean }): Promise<void> {
  const id = idOf(name);
  const withKey = options.withKey === true;
  const found = await withCertificates(io, options, (api) => api.raw(id, withKey));
  if (!found) throw noCertificate(id);
  if (found.chain === '' && !withKey) {
    throw new CliError(`${id} is a private key without a certificate.`, { hint: 'Print it with --with-key.' });
  }
  io.out(found.chain + (found.key ?? ''));
}
