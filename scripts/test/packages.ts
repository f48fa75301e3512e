import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian packages that the tests need, each with a command, or a file, that shows it is there. */
const PACKAGES = [
  { name: 'git', command: 'git', why: 'clone and push over the proxy; the commit in --version' },
  { name: 'chromium', command: 'chromium', why: "a browser's WebSocket and SSE page through the proxy" },
  { name: 'curl', command: 'curl', why: 'a client that is not ours' },
  { name: 'openssl', command: 'openssl', why: 'certificates of test upstreams' },
  { name: 'libcap2-bin', command: 'setcap', why: 'ports 80 and 443 as nobody' },
  { name: 'iproute2', command: 'ip', why: 'a network of its own for the test on port 80' },
  { name: 'nghttp2-client', command: 'h2load', why: 'HTTP/2 clients that are not ours' },
  { name: 'nghttp2-server', command: 'nghttpd', why: 'an HTTP/2 server that is not ours' },
  { name: 'sslscan', command: 'sslscan', why: 'versions, ciphers and groups of TLS, as a stranger sees them' },
  { name: 'util-linux', command: 'setpriv', why: 'the same; and to become nobody' },
  { name: 'pebble', command: 'pebble', why: 'a CA that speaks ACME, with a DNS server to go with it' },
  { name: 'ca-certificates', command: 'update-ca-certificates', why: "the system's trust store" },
  { name: 'libnss3-tools', command: 'certutil', why: "Chromium's trust store" },
  { name: 'python3-httpx', command: '/usr/lib/python3/dist-packages/httpx', why: 'an HTTPS client that is not ours' },
  { name: 'python3-h2', command: '/usr/lib/python3/dist-packages/h2', why: 'its HTTP/2' },
  { name: 'python3-grpcio', command: '/usr/lib/python3/dist-packages/grpc', why: 'gRPC, both ends' },
] as const;

/**
 * Installs what is missing, as root on Debian.
 * @returns undefined when all is there, else what to do about it
 */
export function ensurePackages(): string | undefined {
  let missing = PACKAGES.filter(({ command }) => !hasCommand(command));
  if (missing.length === 0) return undefined;
  const names = missing.map(({ name }) => name);
  const hint = `apt-get install -y ${names.join(' ')}`;
  if (!hasCommand('apt-get')) return `the tests need the commands ${missing.map(({ command }) => command).join(', ')}`;
  if (process.getuid!() !== 0) return `the tests need more Debian packages; install them with: sudo ${hint}`;
  console.log(`installing ${missing.map(({ name, why }) => `${name} (${why})`).join(', ')}`);
  apt('update', '-q');
  apt('install', '-qq', '-y', '--no-install-recommends', ...names);
  missing = PACKAGES.filter(({ command }) => !hasCommand(command));
  return missing.length === 0
    ? undefined
    : `could not install ${missing.map(({ name }) => name).join(', ')}; try: ${hint}`;
}

function apt(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, stdout, stderr } = spawnSync('apt-get', args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status !== 0) console.error(`apt-get ${args.join(' ')} failed (${status})\n${stdout}${stderr}`);
}

/** @param command a name to be found in PATH, or a whole path */
function hasCommand(command: string): boolean {
  if (command.startsWith('/')) return existsSync(command);
  // A user's PATH has no sbin on Debian.
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  return path.split(delimiter).some((directory) => directory !== '' && existsSync(join(directory, command)));
}
