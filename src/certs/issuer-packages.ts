/** A package that oo's executable brings along, and that who installs oo as a package has to install where it is needed. */
export class PackageMissing extends Error {
  readonly code = 'ERR_MODULE_NOT_FOUND';
  readonly hint: string;

  constructor(name: string, why: string, all: string, cause: unknown) {
    const hint = `npm install ${all}`;
    super(`${name} is not installed, and ${why}: ${hint}`, { cause });
    this.name = 'PackageMissing';
    this.hint = hint;
  }
}

/** Loaded when it is needed: it takes a tenth of a second. @throws PackageMissing, as a rejection */
export function loadAcmeClient(): Promise<typeof import('acme-client')> {
  return loaded('acme-client', 'certificates of a CA need it', 'acme-client', () => import('acme-client'));
}

/** With what it needs itself. @throws PackageMissing, as a rejection */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  const [why, all] = ['certificates of the local CA need it', '@peculiar/x509 reflect-metadata'];
  await loaded('reflect-metadata', why, all, () => import('reflect-metadata'));
  return loaded('@peculiar/x509', why, all, () => import('@peculiar/x509'));
}

async function loaded<T>(name: string, why: string, all: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new PackageMissing(name, why, all, cause);
  }
}
