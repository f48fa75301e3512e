import type { CertificateStorage } from './certificate-types.ts';
import { show } from './shape.ts';

/** What a storage may take for one answer, ms. */
const longestMs = 10_000;

/**
 * A storage whose answers are what they should be: one that never comes, or that is something else, is a rejection that says so, as the
 * embedder's own are. Else a start, a renewal or an end would wait for ever, or fail somewhere else.
 * @param mostMs see `longestMs`
 */
export function guardStorage(storage: CertificateStorage, mostMs: number = longestMs): CertificateStorage {
  async function ask<T>(method: keyof CertificateStorage, work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const error = () => reject(new Error(`certificates.storage.${method} has not answered within ${mostMs} ms`));
      timer = setTimeout(error, mostMs);
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  function wrong(method: keyof CertificateStorage, given: unknown, expected: string): TypeError {
    return new TypeError(`certificates.storage.${method} gave ${show(given)}; expected ${expected}`);
  }

  return {
    async list(prefix) {
      const entries: unknown = await ask('list', async () => storage.list(prefix));
      if (!Array.isArray(entries) || !entries.every(isEntry))
        throw wrong('list', entries, 'a list of { name, mark }, each a text');
      return entries;
    },
    async read(name) {
      const text: unknown = (await ask('read', async () => storage.read(name))) ?? undefined;
      if (text !== undefined && typeof text !== 'string') throw wrong('read', text, 'a text, or undefined');
      return text;
    },
    write: (name, text) => ask('write', async () => storage.write(name, text)),
    async create(name, text) {
      const created: unknown = await ask('create', async () => storage.create(name, text));
      if (typeof created !== 'boolean') throw wrong('create', created, 'whether it was added');
      return created;
    },
    remove: async (name) => Boolean(await ask('remove', async () => storage.remove(name))),
  };
}

function isEntry(entry: unknown): boolean {
  const { name, mark } = Object(entry) as { name?: unknown; mark?: unknown };
  return typeof name === 'string' && typeof mark === 'string';
}
