import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface WorkerdOptions {
  /** The Worker's `env`. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** On 127.0.0.1. Default: a free one. */
  readonly port?: number;
}

/** Writes a configuration that serves this module. Its fetch may reach loopback. @returns the file */
export function writeWorkerd(file: string, dir: string, { bindings = {}, port = 0 }: WorkerdOptions = {}): string {
  const config = join(dir, 'workerd.capnp');
  const bound = Object.entries(bindings).map(([name, text]) => `(name = "${name}", text = "${text}")`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "${basename(file)}", esModule = embed "${basename(file)}")],
      compatibilityDate = "2026-11-01",
      bindings = [${bound.join(', ')}],
      globalOutbound = "net",
    )),
    (name = "net", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`,
  );
  return config;
}
