import { suite } from 'uvu';
import { contract } from './contract.ts';

const checks = suite('deno');
contract(checks, 'deno');
checks.run();
