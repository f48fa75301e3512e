import { suite } from 'uvu';
import { contract } from './contract.ts';

const checks = suite('oo');
contract(checks, 'oo');
checks.run();
