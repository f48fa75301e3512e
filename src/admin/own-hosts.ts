/** Names under which a server may be asked by somebody who shows no token. */
export interface OwnHosts {
  /** This machine's own name. */
  readonly machine?: string;
  /** `--self-url`. */
  readonly selfUrl?: string;
  /** `--api-hosts`: names, without ports. */
  readonly more?: readonly string[];
}

/**
 * Tells whether a Host field is one of ours. A page that was loaded from a name of its own, whose DNS then says 127.0.0.1 (a rebound host), speaks
 * to us as to its own site: no cross-origin check sees it. But it can only ever send its own name as Host; an address, `localhost` and names
 * that somebody has set are none that DNS gives away to others.
 *
 * It counts only where no valid token comes along. A browser sends no bearer token by itself, so who shows one is no rebound page; and a route
 * of an edge that leads to the service port (`https://edge.example.com`, a context of the CLI) works with a token without being named here.
 */
export function hostCheck({ machine, selfUrl, more = [] }: OwnHosts): (host: string | undefined) => boolean {
  const own = new Set(['localhost', ...more.map((name) => nameOf(name) ?? name.toLowerCase())]);
  if (machine) own.add(machine.toLowerCase());
  if (selfUrl !== undefined && URL.canParse(selfUrl)) own.add(new URL(selfUrl).hostname);
  return (host) => {
    // No browser leaves it out.
    if (host === undefined || host === '') return true;
    const name = nameOf(host);
    return name !== undefined && (own.has(name) || isAddress(name) || name.endsWith('.localhost'));
  };
}

/** In lower case, without the port; undefined if it is none. */
function nameOf(host: string): string | undefined {
  if (/[/?#@\s\\]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}

/** As a URL has it: IPv4 in decimals, IPv6 between brackets. */
function isAddress(name: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || name.startsWith('[');
}
