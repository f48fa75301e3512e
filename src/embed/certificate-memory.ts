import type { CertificateStorage } from './certificate-types.ts';

/** Records that end with the process. */
export function memoryStorage(): CertificateStorage {
  const records = new Map<string, { readonly text: string; readonly mark: string }>();
  let writes = 0;
  const put = (name: string, text: string) => records.set(name, { text, mark: String(++writes) });
  return {
    async list(prefix) {
      return [...records].flatMap(([name, { mark }]) => (name.startsWith(prefix) ? [{ name, mark }] : []));
    },
    async read(name) {
      return records.get(name)?.text;
    },
    async write(name, text) {
      put(name, text);
    },
    async create(name, text) {
      if (records.has(name)) return false;
      put(name, text);
      return true;
    },
    async remove(name) {
      return records.delete(name);
    },
  };
}
