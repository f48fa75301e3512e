/** What a CA's refusals and the ways to a CA that fail mean for a person: pure, the table that messages and hints come from. */

/** An ACME problem document (RFC 8555 §6.7, RFC 7807), as far as it could be read. */
export interface Problem {
  /** Without its prefix: `rateLimited`, `caa`; another vocabulary's whole URN; '' if none was given. */
  readonly type: string;
  /** One line, no control characters, bounded; '' if none was given. */
  readonly detail: string;
  /** The URL that the CA wants a person to open, or ''. */
  readonly instance: string;
  /** The HTTP status it came with; 0: none. */
  readonly status: number;
  readonly subproblems: readonly Subproblem[];
}

export interface Subproblem {
  readonly type: string;
  readonly detail: string;
  /** The name that it is about, or ''. */
  readonly name: string;
}

/** What is known around a problem, for the hint. */
export interface ProblemContext {
  /** The CA's directory URL. */
  readonly directory: string;
  /** The names of the order, the one in question first. */
  readonly names: readonly string[];
  /** `http-01`, `tls-alpn-01`, `dns-01` where a challenge failed, else ''. */
  readonly challenge: string;
  /** The domains that the CA accepts in CAA records, from its directory. */
  readonly caaIdentities: readonly string[];
  /** Epoch ms, from Retry-After; 0: it did not say. */
  readonly retryAfter: number;
  readonly now: number;
}

export interface Words {
  /** One line: what happened. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  readonly problem: string;
  /** Epoch ms; 0: not said. */
  readonly retryAfter: number;
}

const prefix = 'urn:ietf:params:acme:error:';
const maxDetail = 600;
const maxSubproblems = 20;
/** No CA's word keeps us from trying for longer. */
const maxWaitMs = 31 * 24 * 3_600_000;

/** Reads what a CA answered in place of what was asked for. @param body parsed JSON, or text @param status of HTTP, or 0 */
export function readProblem(body: unknown, status: number): Problem {
  if (typeof body !== 'object' || body === null)
    return { type: '', detail: oneLine(body), instance: '', status, subproblems: [] };
  const { type, detail, title, instance, subproblems } = body as Record<string, unknown>;
  const list = Array.isArray(subproblems) ? subproblems.slice(0, maxSubproblems) : [];
  return {
    type: withoutPrefix(type),
    detail: oneLine(detail) || oneLine(title),
    instance: webUrl(instance),
    status,
    subproblems: list.filter(isObject).map((sub) => ({
      type: withoutPrefix(sub.type),
      detail: oneLine(sub.detail) || oneLine(sub.title),
      name: isObject(sub.identifier) ? oneLine(sub.identifier.value) : '',
    })),
  };
}

/** The problem of a challenge that failed; some CAs hide in the text that the name could not be looked up. */
export function readChallengeProblem(body: unknown): Problem {
  const problem = readProblem(body, 0);
  const isLookup = /could not resolve|SERVFAIL|NXDOMAIN|no such host|no valid A records/i.test(problem.detail);
  return isLookup && lookupTypes.has(problem.type) ? { ...problem, type: 'dns' } : problem;
}

const lookupTypes = new Set(['connection', 'malformed', 'serverInternal', '']);

/** Puts a problem into words. */
export function explainProblem(problem: Problem, context: ProblemContext): Words {
  const subproblems = problem.subproblems.filter(({ detail, type }) => detail !== '' || type !== '');
  const [first] = subproblems;
  // `compound`, or a bare `malformed`, says nothing by itself: what to do stands in its parts.
  const decisive = first !== undefined && (own(hints, problem.type) === undefined || problem.type === 'malformed');
  const type = decisive ? first.type : problem.type;
  const names = decisive && first.name !== '' ? [first.name, ...context.names] : context.names;
  const retryAfter = bounded(context.retryAfter || retryDate(problem, subproblems), context.now);
  const parts = subproblems.map(({ name, type, detail }) => `${name || '(no name)'}: ${phrase(type, detail)}`);
  const message = [phrase(problem.type, problem.detail, problem.status), ...parts].join('; ');
  const hint = (own(hints, type) ?? hintOfStatus)({ ...context, names, retryAfter, problem });
  return { message, hint, problem: problem.type, retryAfter };
}

/** What each type means, before the CA's own words. */
const meanings: Readonly<Record<string, string>> = {
  accountDoesNotExist: 'the CA does not know our account',
  alreadyReplaced: 'the certificate to be replaced has been replaced already',
  badCSR: 'the CA refuses the certificate request',
  badNonce: 'the CA kept refusing our nonces',
  badPublicKey: 'the CA refuses the kind of key',
  badSignatureAlgorithm: 'the CA refuses the kind of signature',
  caa: 'a CAA record does not let this CA issue',
  compound: 'several things are wrong',
  connection: 'the CA could not connect',
  dns: 'the CA could not look up the name',
  externalAccountRequired: 'the CA wants an account of its own (external account binding)',
  incorrectResponse: 'the CA got an answer other than ours',
  invalidContact: 'the CA refuses the contact address',
  invalidProfile: 'the CA does not have this profile',
  malformed: 'the CA calls the request malformed',
  orderNotReady: 'the CA says that the order is not ready',
  rateLimited: "a rate limit of the CA's is used up",
  rejectedIdentifier: 'the CA does not issue for this name',
  serverInternal: 'the CA has an internal error',
  tls: 'the CA met a TLS error',
  unauthorized: 'the CA says that we are not authorized',
  unsupportedContact: 'the CA cannot use this kind of contact address',
  unsupportedIdentifier: 'the CA does not issue for this kind of name',
  userActionRequired: 'the CA wants a person to act first',
};

interface HintContext extends ProblemContext {
  readonly problem: Problem;
}

const hints: Readonly<Record<string, (context: HintContext) => string>> = {
  accountDoesNotExist: () => 'A new account is made with the next attempt',
  alreadyReplaced: () => 'The next attempt orders without naming the old certificate',
  badCSR: () => 'Try the other kind of key: --key-type rsa, or ecdsa',
  badNonce: later,
  badPublicKey: () => 'Try the other kind of key: --key-type rsa, or ecdsa',
  badSignatureAlgorithm: () => 'Try the other kind of key: --key-type rsa, or ecdsa',
  caa: ({ names, caaIdentities }) => {
    const name = bare(names[0] ?? '');
    const tag = names[0]?.startsWith('*.') ? 'issuewild' : 'issue';
    const value = caaIdentities[0] ?? "the CA's domain";
    return `Add a CAA record: ${name}. CAA 0 ${tag} "${value}" (or remove the CAA records of ${name} and the domains above it)`;
  },
  connection: reach,
  dns: ({ names, challenge }) =>
    challenge === 'dns-01'
      ? `The DNS hook must publish a TXT record at _acme-challenge.${bare(names[0] ?? '')}, and end only when all the domain's name servers have it`
      : `${names[0] ?? 'The name'} needs an A or AAAA record that leads to this server, from name servers that answer (SERVFAIL: look at DNSSEC and at the name servers); see 'oo cert check ${names[0] ?? 'HOST'}'`,
  externalAccountRequired: () => "Give --acme-eab-kid and --acme-eab-key, as shown on the CA's website",
  incorrectResponse: wrongAnswer,
  invalidContact: () => 'Give an address that takes mail: --acme-email',
  invalidProfile: () => 'Give one of its profiles with --acme-profile, or none',
  malformed: ({ names }) =>
    isAddress(names[0] ?? '')
      ? addressHint
      : 'Is the name one that public DNS can have? Else this is a fault of oo or of the CA: please report it',
  orderNotReady: later,
  rateLimited: ({ retryAfter }) =>
    `${retryAfter > 0 ? `Not tried again before ${utc(retryAfter)}` : 'Tried again later, with growing pauses'}; for trials use --acme staging, which has higher limits`,
  rejectedIdentifier: ({ names }) =>
    isAddress(names[0] ?? '')
      ? addressHint
      : `Is ${names[0] ?? 'the name'} a public name, and spelled right? Names such as .test or .internal get certificates from the local CA only; a CA may also block names by policy`,
  serverInternal: later,
  tls: wrongAnswer,
  unauthorized: (context) =>
    context.challenge === ''
      ? 'The account may have been closed, or may not be allowed to have this name; with a CA that wants external accounts, look at --acme-eab-kid and --acme-eab-key'
      : wrongAnswer(context),
  unsupportedContact: () => 'Give an e-mail address: --acme-email',
  unsupportedIdentifier: () => addressHint,
  userActionRequired: ({ problem, directory }) =>
    problem.instance === '' ? `Look at the CA's website (${directory})` : `Open ${problem.instance} and do as it says`,
};

const addressHint =
  'IP addresses need a CA that gives certificates for them, and perhaps a profile: --acme-profile shortlived';

function reach({ names, challenge }: HintContext): string {
  const name = names[0] ?? 'HOST';
  if (challenge === 'dns-01') return `Do the name servers of ${bare(name)} answer?`;
  const port = challenge === 'tls-alpn-01' ? 443 : 80;
  return `Port ${port} of ${name} must be open to the whole internet: does its DNS lead to this server (each A and AAAA record), and do firewall and router let port ${port} through? See 'oo cert check ${name}'`;
}

function wrongAnswer({ names, challenge }: HintContext): string {
  const name = names[0] ?? 'HOST';
  if (challenge === 'dns-01')
    return `The DNS hook must publish the TXT record _acme-challenge.${bare(name)} with the value that it is given, beside others of that name`;
  if (challenge === 'tls-alpn-01')
    return `Another server answers on port 443 of ${name}, or something in front of oo ends TLS: does each of its A and AAAA records lead here, with no CDN in between? See 'oo cert check ${name}'`;
  return `Another server answers http://${name}/.well-known/acme-challenge/: does each of its A and AAAA records lead here, with no CDN in between? See 'oo cert check ${name}'`;
}

function later(): string {
  return "This is the CA's own trouble, most often; it is tried again, with growing pauses";
}

function hintOfStatus({ problem }: HintContext): string {
  if (problem.status === 404) return 'Is the directory URL right (--acme)?';
  return later();
}

/** A fault on the way to the CA, by its code: Node's, or one of the issuer's own. */
export interface FaultContext {
  /** The host and port that were asked. */
  readonly host: string;
  readonly directory: string;
}

/** @returns undefined for a code that is not known: the caller has the error's own message */
export function explainFault(code: string, { host, directory }: FaultContext): Omit<Words, 'retryAfter'> | undefined {
  const found = own(faults, code);
  if (found === undefined) return undefined;
  const [message, hint] = found;
  const fill = (text: string) => text.replaceAll('HOST', host).replaceAll('DIRECTORY', directory);
  return { message: fill(message), hint: fill(hint), problem: '' };
}

const reachHint = 'Can this machine reach it? Try: curl -v DIRECTORY';
const trustHint =
  "If this is a CA of your own, give its root certificate with --acme-ca-file; if not, someone is in between, or this machine's list of authorities is old";
const clockHint = "Is this machine's clock right? Try: date -u";

const faults: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  ECONNREFUSED: ['the CA at HOST refuses connections', reachHint],
  ECONNRESET: ['the CA at HOST broke the connection', reachHint],
  EPIPE: ['the CA at HOST broke the connection', reachHint],
  EHOSTUNREACH: ['there is no way to the CA at HOST', reachHint],
  ENETUNREACH: ['there is no way to the CA at HOST', reachHint],
  ETIMEDOUT: ['the CA at HOST does not answer', reachHint],
  OO_ACME_TIMEOUT: ['the CA at HOST does not answer in time', reachHint],
  ENOTFOUND: [
    "the CA's name HOST is unknown to DNS",
    "Is the directory URL right (--acme)? Does this machine's DNS work?",
  ],
  EAI_AGAIN: ["the CA's name HOST could not be looked up", "Does this machine's DNS work? See /etc/resolv.conf"],
  EPROTO: ['HOST does not speak TLS as it should', 'Is the directory URL right, with its port (--acme)?'],
  SELF_SIGNED_CERT_IN_CHAIN: ['the certificate of the CA at HOST is by an authority that is not trusted', trustHint],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['the CA at HOST has a self-signed certificate', trustHint],
  UNABLE_TO_GET_ISSUER_CERT: ['the certificate of the CA at HOST is by an authority that is not trusted', trustHint],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    'the certificate of the CA at HOST is by an authority that is not trusted',
    trustHint,
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    'the certificate of the CA at HOST is by an authority that is not trusted',
    trustHint,
  ],
  CERT_SIGNATURE_FAILURE: ['the certificate of the CA at HOST is not by the authority that it names', trustHint],
  CERT_HAS_EXPIRED: ["the CA's own certificate at HOST has expired", clockHint],
  CERT_NOT_YET_VALID: ["the CA's own certificate at HOST is not valid yet", clockHint],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'the certificate at HOST is for another name',
    'Is the directory URL right (--acme)? Its host must be in the certificate',
  ],
};

function withoutPrefix(type: unknown): string {
  const text = oneLine(type);
  if (text.startsWith(prefix)) return text.slice(prefix.length);
  return text === 'about:blank' ? '' : text;
}

function phrase(type: string, detail: string, status = 0): string {
  const meaning = own(meanings, type) ?? (type || (status > 0 ? `the CA answered ${status}` : 'the CA refused'));
  return detail === '' ? meaning : `${meaning}: ${detail}`;
}

/** `… retry after 2026-03-01 12:34:56 UTC: see …`, as CAs write it. */
function retryDate(problem: Problem, subproblems: readonly Subproblem[]): number {
  for (const { detail } of [problem, ...subproblems]) {
    const match = /retry(?:ing)? after (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)/i.exec(detail);
    const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
    if (!Number.isNaN(time)) return time;
  }
  return 0;
}

function bounded(time: number, now: number): number {
  return time <= now ? 0 : Math.min(time, now + maxWaitMs);
}

/** `2026-03-01 12:34:56 UTC` */
export function utc(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A stranger's text for a log line: one line, bounded. */
export function oneLine(value: unknown): string {
  if (typeof value !== 'string') return '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  const text = value.replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return text.length > maxDetail ? `${text.slice(0, maxDetail)}…` : text;
}

function webUrl(value: unknown): string {
  const text = oneLine(value);
  return /^https?:\/\//.test(text) && URL.canParse(text) ? text : '';
}

function isAddress(name: string): boolean {
  return /^[\d.]+$|:/.test(name);
}

function bare(name: string): string {
  return name.startsWith('*.') ? name.slice(2) : name;
}

/** A CA may call its problem `constructor`. */
function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
