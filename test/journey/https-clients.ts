import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { temporary } from '../helpers/temporary.ts';
import { within } from '../helpers/wait.ts';
import { type Ran, run } from './oo.ts';

/** What curl got. */
export interface Fetched {
  /** curl's exit code; 60: the certificate is not trusted. */
  readonly code: number | null;
  readonly status: number;
  readonly body: string;
  /** As they came, names in lower case. */
  readonly head: string;
  /** '1.1', '2', '0' for none. */
  readonly version: string;
  readonly err: string;
}

/** How to reach a host that has no address of its own here. */
export interface Reach {
  readonly port: number;
  /** PEM file of the roots that are trusted; default: none but the system's. */
  readonly caFile?: string;
  readonly flags?: readonly string[];
}

/** A URL by curl, as a user would with `--resolve`. @param url without a port: `https://a.example/x`, `http://…` */
export async function curl(url: string, { port, caFile, flags = [] }: Reach): Promise<Fetched> {
  const { protocol, hostname, pathname, search } = new URL(url);
  const out = join(temporary(), 'body');
  const head = join(temporary(), 'head');
  const ca = caFile === undefined ? [] : ['--cacert', caFile];
  const how = ['-sS', '--max-time', '20', '--resolve', `${hostname}:${port}:127.0.0.1`, ...ca];
  const what = ['-o', out, '-D', head, '-w', '%{http_code} %{http_version}', ...flags];
  const ran = await run([...how, ...what, `${protocol}//${hostname}:${port}${pathname}${search}`], { program: 'curl' });
  const [status, version] = ran.out.split(' ');
  return { code: ran.code, status: Number(status), version, body: textOf(out), head: textOf(head), err: ran.err };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** A PEM in a file of its own. */
export function pemFile(text: string): string {
  const file = join(temporary(), 'roots.pem');
  writeFileSync(file, text);
  return file;
}

/** How a handshake ended. */
export interface Shaken {
  readonly protocol: string | null;
  readonly alpn: string | false | null;
  readonly reused: boolean;
  readonly certificate: tls.DetailedPeerCertificate;
  readonly session: Buffer | undefined;
}

export interface ShakeOptions extends tls.ConnectionOptions {
  readonly port: number;
  /** Wait for a ticket. */
  readonly ticket?: boolean;
}

/** One handshake with 127.0.0.1, whose certificate is not judged unless `ca` is given; then it is closed. */
export function shake(name: string, options: ShakeOptions): Promise<Shaken> {
  const { ticket = false, ...rest } = options;
  const shaken = new Promise<Shaken>((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      servername: name,
      rejectUnauthorized: rest.ca !== undefined,
      ...rest,
    });
    const end = (session?: Buffer) => {
      const { alpnProtocol: alpn } = socket;
      const certificate = socket.getPeerCertificate(true);
      resolve({ protocol: socket.getProtocol(), alpn, reused: socket.isSessionReused(), certificate, session });
      socket.destroy();
    };
    socket.on('error', reject);
    socket.on('secureConnect', () => !ticket && end());
    socket.on('session', (session) => ticket && end(session));
    socket.on('close', () => reject(new Error('closed')));
    socket.resume();
  });
  return within(shaken, `a handshake with ${name}`, 10_000);
}

/** Debian's own, whatever else the machine has. */
export const python3 = '/usr/bin/python3';

/** Runs a Python program with these arguments; throws with what it said unless it ends with 0. @returns its standard output */
export async function python(program: string, ...args: string[]): Promise<string> {
  const ran: Ran = await run(['-c', program, ...args], { program: python3 });
  if (ran.code !== 0) throw new Error(`python3 ended with ${ran.code}: ${ran.err}`);
  return ran.out;
}
