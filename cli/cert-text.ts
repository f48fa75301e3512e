import type { CertificateDetail, ChainLink, FailureInfo } from '../src/admin/certs.ts';
import { minute, printable, span } from './output.ts';

/** The steps of an attempt, for a person. */
const stepWords: Readonly<Record<string, string>> = {
  lease: 'taking the lease on the name',
  directory: "reading the CA's directory",
  account: 'registering with the CA',
  order: 'ordering',
  challenge: 'getting ready for the challenge',
  authorization: "the CA's check of the name",
  finalize: 'sending the certificate request',
  download: 'fetching the certificate',
  check: 'checking what the CA sent',
  store: 'storing it',
};

/** `authorization` → `authorization (the CA's check of the name)`. */
export function stepText(step: string): string {
  return Object.hasOwn(stepWords, step) ? `${step} (${stepWords[step]})` : printable(step);
}

/** The shortest word for a CA: the host of its directory. */
export function caOf(directory: string): string {
  return URL.canParse(directory) ? new URL(directory).host : directory;
}

/** `oo cert get`: a line each, what matters first. @param now epoch ms */
export function detailText(detail: CertificateDetail, now: number): string {
  const { certificate } = detail;
  const lines: [string, string][] = [
    ['Name', detail.id],
    ['Status', statusText(detail, now)],
    ['Names', detail.names.join(', ')],
    ['Source', sourceText(detail)],
  ];
  if (certificate?.notBefore && certificate.notAfter) {
    const { notBefore, notAfter } = certificate;
    const lifetime = span(Date.parse(notAfter) - Date.parse(notBefore));
    lines.push(['Valid', `${minute(notBefore)} to ${minute(notAfter)} (${lifetime})`]);
    lines.push(['Issuer', certificate.issuer ?? ''], ['Serial', certificate.serialNumber ?? '']);
  }
  lines.push(['Key', keyText(detail)]);
  for (const [i, link] of detail.chain.entries()) lines.push([i === 0 ? 'Chain' : '', linkText(link)]);
  lines.push(['Routes', detail.routes.join(', ') || 'none']);
  lines.push(...renewalLines(detail, now), ...failureLines(detail, now));
  const width = Math.max(...lines.map(([head]) => head.length)) + 1;
  return lines
    .map(([head, text]) => `${(head ? `${head}:` : '').padEnd(width)}  ${printable(text)}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

function statusText({ certificate, unmet, running, lastFailure, stored }: CertificateDetail, now: number): string {
  const under = running ? `; an attempt is under way: ${stepText(running.step)}` : '';
  if (!certificate?.notAfter) {
    if (unmet) return `no certificate: ${unmet.reason}`;
    return `no certificate yet${lastFailure && !running ? '; the last attempt failed' : under}`;
  }
  const memory = stored ? '' : '; only in memory: the database could not keep it';
  const left = Date.parse(certificate.notAfter) - now;
  if (left < 0) return `expired ${span(left)} ago${memory}${under}`;
  if (Date.parse(certificate.notBefore ?? '') > now) return `not valid yet${memory}${under}`;
  return `valid for ${span(left)}${memory}${under}`;
}

function sourceText({ source, directory, certificate }: CertificateDetail): string {
  if (source === 'saved') return 'saved by a person (oo cert save): oo does not renew it';
  if (source === 'local') return 'the local CA: oo trust makes this machine believe it';
  const ca = directory ? ` from ${directory}` : '';
  return certificate ? `automatic,${ca || ' by ACME'}` : `automatic, by ACME${ca && `,${ca}`}`;
}

function keyText({ keyType, certificate }: CertificateDetail): string {
  const bits = certificate?.publicKeyBitLength;
  return bits ? `${keyType.toUpperCase()}, ${bits} bits` : keyType.toUpperCase();
}

function linkText({ subject, issuer, notAfter }: ChainLink): string {
  return `${subject} (signed by ${issuer}, until ${minute(notAfter)})`;
}

function renewalLines({ renewAt, renewalWindow }: CertificateDetail, now: number): [string, string][] {
  const lines: [string, string][] = [];
  if (renewAt) lines.push(['Renewal', when(renewAt, now)]);
  if (renewalWindow) {
    const { start, end, explanationUrl } = renewalWindow;
    const why = explanationUrl ? `; why: ${explanationUrl}` : '';
    lines.push(['CA says', `renew between ${minute(start)} and ${minute(end)}${why}`]);
  }
  return lines;
}

function failureLines(detail: CertificateDetail, now: number): [string, string][] {
  const { lastFailure, failures, nextTryAt, unmet, renewAt } = detail;
  const lines: [string, string][] = [];
  if (lastFailure) {
    const times = failures > 1 ? `, ${failures} attempts in a row` : '';
    lines.push(['Last error', `${when(lastFailure.at, now)}${times}`], ...failureText(lastFailure));
  } else if (unmet) {
    lines.push(['What to do', unmet.hint]);
  }
  if (nextTryAt && nextTryAt !== renewAt) lines.push(['Next try', when(nextTryAt, now)]);
  return lines;
}

function failureText({ step, directory, message, hint, problem }: FailureInfo): [string, string][] {
  const ca = directory ? `, at ${caOf(directory)}` : '';
  const lines: [string, string][] = [['  step', stepText(step) + ca]];
  lines.push(['  what', problem ? `${message} (${problem})` : message]);
  if (hint) lines.push(['What to do', hint]);
  return lines;
}

/** `2025-08-09 14:22 UTC (in 3 minutes)`. */
export function when(iso: string, now: number): string {
  const ms = Date.parse(iso) - now;
  return `${minute(iso)} (${ms < 0 ? `${span(ms)} ago` : `in ${span(ms)}`})`;
}
