import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Writes a configuration that serves this module on a free port of 127.0.0.1. Its fetch may reach loopback. @returns the file */
export function writeWorkerd(file: string, dir: string): string {
  const config = join(dir, 'workerd.capnp');
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "${basename(file)}", esModule = embed "${basename(file)}")],
      compatibilityDate = "2026-11-01",
      globalOutbound = "net",
    )),
    (name = "net", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`,
  );
  return config;
}
