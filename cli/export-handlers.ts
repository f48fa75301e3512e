import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { normalId } from '../src/admin/schema.ts';
import type { HandlerOptions } from '../src/core/handler-types.ts';
import type { ConfigItem } from './config-files.ts';
import type { ExportFile } from './export-files.ts';
import { filedHandler, readHandler } from './handler-files.ts';
import { byFile, sourced } from './handler-text.ts';

type Thing = Readonly<Record<string, unknown>> & { readonly id: string };

/** Routes whose handlers are in files, and those files. */
export interface ExportedHandlers {
  readonly routes: readonly Thing[];
  readonly files: readonly ExportFile[];
}

/**
 * Puts the text of each handler into a file beside the one that names it, and its name in the route.
 *
 * 1. A route that is in a file with its handler's text stays so.
 * 2. One whose file names the handler's keeps that name where the file has that text already; or where it is one below `root` that may be written.
 * 3. Else the file is a new one, beside the route's: named as the handler's own, without its directories. What else has that name stays as it is.
 *
 * @param items what the files that are there say of routes
 * @param root the directory of the export: nothing outside of it is written
 * @param home where new routes are written
 */
export function planHandlers(
  routes: readonly Thing[],
  items: readonly ConfigItem[],
  root: string,
  home: string,
): ExportedHandlers {
  const there = new Map(items.map((item) => [idOf(item.value), item]));
  const plan = new Files(root);
  const placed = routes.map((route) => {
    const item = there.get(route.id);
    const handler = sourced(route);
    if (handler === undefined || sourced((item?.value ?? {}) as object) !== undefined) return route;
    const filed = filedHandler(item?.value);
    const dir = item === undefined ? home : dirname(item.source);
    const file =
      filed !== undefined && plan.keeps(isAbsolute(filed.file) ? filed.file : join(dir, filed.file), handler.source)
        ? filed.file
        : `./${plan.add(dir, handler)}`;
    const isShort = item === undefined || typeof (item.value as { handler?: unknown }).handler === 'string';
    const said = byFile(handler, file);
    return { ...route, handler: typeof said === 'string' && !isShort && filed !== undefined ? { file: said } : said };
  });
  return { routes: placed, files: plan.files() };
}

/** Files of handlers, each with one text. */
class Files {
  readonly #root: string;
  /** What each is to have, by `keyOf` its path. */
  readonly #texts = new Map<string, { readonly path: string; readonly text: string; readonly isSame: boolean }>();

  constructor(root: string) {
    this.#root = resolve(root);
  }

  /** Whether the file that is named has this text, or may get it. */
  keeps(path: string, text: string): boolean {
    const planned = this.#texts.get(keyOf(path));
    if (planned !== undefined) return planned.text === text;
    const read = readHandler(path);
    const isSame = 'source' in read && read.source === text;
    if (!isSame && !this.#isOurs(path)) return false;
    this.#texts.set(keyOf(path), { path, text, isSame });
    return true;
  }

  /** A new file, or one that has this text already. @returns its name in that directory */
  add(dir: string, { file = '', source }: HandlerOptions & { readonly source: string }): string {
    const { stem, extension } = safeName(file);
    for (let n = 1; ; n++) {
      const name = `${stem}${n === 1 ? '' : `-${n}`}${extension}`;
      const path = join(dir, name);
      const planned = this.#texts.get(keyOf(path));
      if (planned === undefined && existsOrDangles(path)) {
        const read = lstatSync(path).isFile() ? readHandler(path) : { why: 'it is no file' };
        if (!('source' in read) || read.source !== source) continue;
        this.#texts.set(keyOf(path), { path, text: source, isSame: true });
      } else if (planned === undefined) this.#texts.set(keyOf(path), { path, text: source, isSame: false });
      else if (planned.text !== source) continue;
      return name;
    }
  }

  files(): ExportFile[] {
    return [...this.#texts.values()];
  }

  /** JavaScript below the export's directory, links considered: what stands there is what an export wrote, or is written like it. */
  #isOurs(path: string): boolean {
    if (!/^\.m?js$/i.test(extname(path)) || basename(path).startsWith('.')) return false;
    if (existsOrDangles(path) && !lstatSync(path).isFile()) return false;
    return isBelow(resolve(path), this.#root) && isBelow(realpathOf(path), realpathOf(this.#root));
  }
}

/** Some disks take a and A for one name. */
function keyOf(path: string): string {
  return resolve(path).toLowerCase();
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** Also of what is not there yet. */
function realpathOf(path: string): string {
  let above = resolve(path);
  while (!existsSync(above)) above = dirname(above);
  return join(realpathSync(above), relative(above, resolve(path)));
}

function existsOrDangles(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What a stored name comes to as that of a file: anybody who may save a route has chosen it. Types were taken out of what was TypeScript. */
function safeName(file: string): { stem: string; extension: string } {
  const given = basename(file.replaceAll('\\', '/'));
  const extension = /\.js$/i.test(given) ? '.js' : '.mjs';
  const stem = given
    .replace(/\.(m?[jt]s|c[jt]s)$/i, '')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80);
  return { stem: stem || 'handler', extension };
}

function idOf(value: unknown): string {
  const id = String((value as { id?: unknown } | null)?.id);
  return normalId(id) ?? id;
}
