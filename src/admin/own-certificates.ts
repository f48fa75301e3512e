import { type CertificateAdmin, CertificateRefusal, type SaveRequest } from './certs.ts';
import type { ApplyFault, OwnCertificate, OwnCertificates } from './resources.ts';

/** Certificates of an apply, proven and kept by those who serve them. Undefined: they can't. */
export function ownCertificates(admin: CertificateAdmin): OwnCertificates | undefined {
  const { prove } = admin;
  if (prove === undefined) return undefined;
  const proveOne = prove.bind(admin);
  async function read(list: readonly OwnCertificate[]) {
    const requests: SaveRequest[] = [];
    const faults: ApplyFault[] = [];
    for (const [index, { id, cert, key }] of list.entries()) {
      try {
        requests.push(await proveOne({ id, cert, key }));
      } catch (error) {
        if (!(error instanceof CertificateRefusal)) throw error;
        faults.push({ kind: 'certificate', index, id, message: error.message });
      }
    }
    return { requests, faults };
  }

  return {
    async check(list) {
      const { requests, faults } = await read(list);
      return faults.length > 0 ? { faults } : { ids: requests.map(({ id }) => id) };
    },
    async store(list) {
      const { requests } = await read(list);
      return admin.save(requests);
    },
  };
}
