import { suite } from 'uvu';
import { contract } from './contract.ts';

const checks = suite('node');
contract(checks, 'node');
checks.run();
