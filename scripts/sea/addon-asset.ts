/** Under which name the executable carries libsql's native addon: the build writes it, load-addon.ts reads it. */
export const ADDON_ASSET = 'libsql.node';
