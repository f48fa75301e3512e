import type { CAC } from 'cac';
import { usageError } from './failure.ts';
import type { Io } from './io.ts';

/** `oo schema`. */
export function addSchemaCommand(program: CAC, io: Io): void {
  program
    .command('schema [of]', 'Print the JSON Schema of files, for editors: of apply (default), or of route alone')
    .example('oo schema > oo.schema.json   # a YAML file begins with: # yaml-language-server: $schema=./oo.schema.json')
    .example('oo schema route')
    .action((of: string | undefined) => printSchema(io, of));
}

async function printSchema(io: Io, of = 'apply'): Promise<void> {
  if (of !== 'apply' && of !== 'route') throw usageError(`There is no schema of '${of}'.`, 'Say apply or route.');
  const { fileSchema } = await import('./file-schema.ts');
  io.out(`${JSON.stringify(fileSchema(of), undefined, 2)}\n`);
}
