import { suite } from 'uvu';
import { contract } from './contract.ts';

const checks = suite('bun');
contract(checks, 'bun');
checks.run();
