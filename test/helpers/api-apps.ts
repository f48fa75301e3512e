import { createAdminApp } from '../../src/admin/app.ts';
import { memoryCertificates } from './memory-certificates.ts';
import { registryApps } from './registry-server.ts';

/** The admin app with a real configuration and registry, and all other calls that there are in memory. */
export async function apiApps() {
  const base = await registryApps();
  const { configuration, registry, tokens } = base;
  const faults: Error[] = [];
  const admin = createAdminApp({
    ...{ configuration, registry, tokens, certificates: memoryCertificates(), version: '1.2.3' },
    live: async () => ({ at: 1, revision: 0, workers: 0, pools: [], instances: [], quiet: 0 }),
    onError: (error) => void faults.push(error),
  });
  return { ...base, admin, faults };
}
