import { join, resolve } from 'node:path';
import { ensureInstalled } from './install.ts';

const directory = join(resolve(import.meta.dirname, '../..'), 'test/admin/fixtures/client');

/**
 * Installs what makes a typed client of the OpenAPI document: a package of its own, because it needs the API of TypeScript 5.
 * @returns its directory
 * @throws Error with what npm said
 */
export function ensureClientPackage(): string {
  ensureInstalled(directory);
  return directory;
}
