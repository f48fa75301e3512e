import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { freePort, listens, PROXY_CORE, type Started, start, versionOf } from './process.ts';
import { nginxFrame } from './upstream.ts';

/** Host of the upstream under load, and of the one that looks closely; every proxy tells them apart by Host. */
export const LOAD_HOST = 'app.example.com';
export const WITNESS_HOST = 'witness.example.com';

/** What clients say in SNI: a name that resolves everywhere, since wrk takes it from its URL. The certificate is for all three. */
export const TLS_NAME = 'localhost';
export const TLS_NAMES: readonly string[] = [TLS_NAME, LOAD_HOST, WITNESS_HOST];

/** The one cipher of TLS 1.3 that all use: the clients offer no other, and the peers that can be told so accept no other. */
export const TLS_CIPHER = 'TLS_AES_128_GCM_SHA256';
export const TLS_GROUP = 'X25519';

/** Idle upstream connections that are kept: as many as the load with most requests at once has (64 connections, 10 streams). */
const KEPT_UPSTREAM = 1024;

/** Idle client and upstream connections are kept for longer than a run lasts, by every proxy that can be told so. */
const KEEP = '600s';

/** A proxy under test, running. */
export interface Contender {
  readonly name: string;
  readonly version: string;
  /** Of plain HTTP. */
  readonly port: number;
  /** Of HTTPS: HTTP/2 and HTTP/1.1 by ALPN. */
  readonly tlsPort: number;
  readonly program: Started;
  /** Its threads come and go, so that its CPU time is read of the process as a whole. Default false. */
  readonly threadsEnd?: boolean;
}

/** What a proxy needs to be set up. */
export interface Setup {
  /** An empty directory of its own. */
  readonly dir: string;
  readonly upstreamPort: number;
  readonly witnessPort: number;
  /** For TLS_NAMES. */
  readonly identity: Identity;
  /** Further servers on this port, for nginx alone: what stands in its `http` block. */
  readonly nginxServers?: (port: number) => string;
}

/** A peer's name, the Debian package it comes in, how it says its version, and how to write its configuration. */
export interface Peer {
  readonly name: string;
  readonly debianPackage: string;
  readonly version: readonly string[];
  /** Writes the configuration into `setup.dir` and returns the command that starts it. */
  readonly configure: (setup: Setup, port: number, tlsPort: number) => readonly string[];
  readonly env?: (setup: Setup) => Record<string, string>;
}

/** One of nginx's locations that forwards. @param more further directives */
export function nginxLocation(path: string, upstream: string, more: string): string {
  return `    location ${path} {
      proxy_pass http://${upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
${more}    }`;
}

/**
 * Each kind of load gets the settings that cost nginx least of those tried. Its defaults cost it four times as much on downloads (buffers
 * of 4 KiB) and twice as much on uploads (the body is written to a file before it is sent on).
 */
export const NGINX_DOWNLOAD = `      proxy_buffer_size 256k;
      proxy_buffers 4 256k;
      proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
`;
const NGINX_UPLOAD = `      proxy_request_buffering off;
      client_body_buffer_size 128k;
`;

/** nginx's name for the upstream under load. */
export const NGINX_LOAD = 'load';

const nginx: Peer = {
  name: 'nginx',
  debianPackage: 'nginx-light',
  version: ['nginx', '-v'],
  configure({ dir, upstreamPort, witnessPort, identity, nginxServers }, port, tlsPort) {
    const server = (host: string, upstream: string, backlog = '') => `  server {
    listen 127.0.0.1:${port}${backlog};
    listen 127.0.0.1:${tlsPort} ssl http2${backlog};
    server_name ${host};
${nginxLocation('/', upstream, '')}
${nginxLocation('= /large', upstream, NGINX_DOWNLOAD)}
${nginxLocation('= /sink', upstream, NGINX_UPLOAD)}
  }`;
    const pool = (name: string, upstream: number) => `  upstream ${name} {
    server 127.0.0.1:${upstream};
    keepalive ${KEPT_UPSTREAM};
    keepalive_requests 1000000000;
    keepalive_timeout ${KEEP};
  }`;
    const config = join(dir, 'nginx.conf');
    writeFileSync(
      config,
      `${nginxFrame(dir)}
  keepalive_timeout ${KEEP};
  keepalive_requests 1000000000;
  client_max_body_size 0;
  ssl_certificate ${identity.certFile};
  ssl_certificate_key ${identity.keyFile};
  ssl_protocols TLSv1.3;
  ssl_conf_command Ciphersuites ${TLS_CIPHER};
  ssl_ecdh_curve ${TLS_GROUP};
  ssl_session_tickets on;
  ssl_session_cache off;
${pool(NGINX_LOAD, upstreamPort)}
${pool('witness', witnessPort)}
${server(LOAD_HOST, NGINX_LOAD, ' backlog=4096')}
${server(WITNESS_HOST, 'witness')}
${nginxServers?.(port) ?? ''}
}
`,
    );
    return ['nginx', '-p', dir, '-c', config];
  },
};

const haproxy: Peer = {
  name: 'haproxy',
  debianPackage: 'haproxy',
  version: ['haproxy', '-v'],
  configure({ dir, upstreamPort, witnessPort, identity }, port, tlsPort) {
    const config = join(dir, 'haproxy.cfg');
    const pem = join(dir, 'identity.pem');
    writeFileSync(pem, identity.cert + identity.key);
    writeFileSync(
      config,
      `global
  nbthread 1
  # Idle clients have no upstream connection: 20,000 files are enough for 12,000 of them.
  maxconn 12000
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites ${TLS_CIPHER}
  ssl-default-bind-curves ${TLS_GROUP}
  # Tickets alone, as the others.
  tune.ssl.cachesize 0
defaults
  mode http
  no log
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client ${KEEP}
  timeout server ${KEEP}
  timeout http-keep-alive ${KEEP}
frontend edge
  bind 127.0.0.1:${port} backlog 4096
  bind 127.0.0.1:${tlsPort} backlog 4096 ssl crt ${pem} alpn h2,http/1.1
  use_backend witness if { hdr(host) -i ${WITNESS_HOST} }
  use_backend load if { hdr(host) -i ${LOAD_HOST} }
backend load
  server one 127.0.0.1:${upstreamPort} pool-purge-delay ${KEEP}
backend witness
  server one 127.0.0.1:${witnessPort} pool-purge-delay ${KEEP}
`,
    );
    return ['haproxy', '-db', '-f', config];
  },
};

const caddy: Peer = {
  name: 'caddy',
  debianPackage: 'caddy',
  version: ['caddy', 'version'],
  configure({ dir, upstreamPort, witnessPort, identity }, port, tlsPort) {
    const site = (url: string, upstream: number, tls = '') => `${url} {
  bind 127.0.0.1
${tls}  reverse_proxy 127.0.0.1:${upstream} {
    transport http {
      keepalive ${KEEP}
      keepalive_idle_conns_per_host ${KEPT_UPSTREAM}
    }
  }
}`;
    const tls = `  tls ${identity.certFile} ${identity.keyFile} {\n    protocols tls1.3\n    curves x25519\n  }\n`;
    const config = join(dir, 'Caddyfile');
    writeFileSync(
      config,
      `{
  admin off
  auto_https off
  default_sni ${TLS_NAME}
  servers {
    protocols h1 h2
    timeouts {
      idle ${KEEP}
    }
  }
}
${site(`http://${LOAD_HOST}:${port}`, upstreamPort)}
${site(`http://${WITNESS_HOST}:${port}`, witnessPort)}
${site(`https://${LOAD_HOST}:${tlsPort}`, upstreamPort, tls)}
${site(`https://${WITNESS_HOST}:${tlsPort}`, witnessPort, tls)}
`,
    );
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', config];
  },
  env: ({ dir }) => ({ GOMAXPROCS: '1', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }),
};

/** The peers, by name. */
export const PEERS: Readonly<Record<string, Peer>> = { nginx, haproxy, caddy };

/** Starts a peer on the proxy's core; throws with what it said when it does not come up. */
export async function startPeer(peer: Peer, setup: Setup): Promise<Contender> {
  mkdirSync(setup.dir, { recursive: true });
  const [port, tlsPort] = [await freePort(), await freePort()];
  const program = start(peer.configure(setup, port, tlsPort), PROXY_CORE, peer.env?.(setup));
  for (const each of [port, tlsPort]) await listens(program, each);
  return { name: peer.name, version: versionOf(peer.version) ?? '', port, tlsPort, program };
}
