import type { ManagerEvent } from '../src/certs/manager-types.ts';
import type { ServedCertificate } from '../src/certs/types.ts';
import { localRootId } from '../src/certs/wanted.ts';

export interface CertificateFiles {
  readonly onEvent: ((event: ManagerEvent) => void) | undefined;
  /** Writes all of these, and takes away the others. */
  sync(all: readonly ServedCertificate[]): void;
}

/**
 * The certificates as files, where that is asked for. What can't be written is logged: serving goes on.
 * @param place true: the state directory; false: not asked for
 */
export async function openFiles(
  place: string | boolean,
  stateDir: string,
  log: (line: string) => void,
): Promise<CertificateFiles> {
  if (place === false) return { onEvent: undefined, sync() {} };
  const { createExport } = await import('../db/export.ts');
  const files = createExport(place === true ? stateDir : place);
  const logged = (written: Promise<void>) =>
    void written.catch((error) => log(`certificates as files: ${error.message}`));
  // The local CA's key signs for this whole installation: it is no server's business.
  const isServed = ({ id }: ServedCertificate) => id !== localRootId;
  return {
    onEvent(event: ManagerEvent) {
      if (event.type === 'saved' && isServed(event.certificate)) logged(files.save(event.certificate));
      if (event.type === 'removed') logged(files.remove(event.id));
    },
    sync: (all: readonly ServedCertificate[]) => logged(files.sync(all.filter(isServed))),
  };
}
