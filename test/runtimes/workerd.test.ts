import { suite } from 'uvu';
import { contract } from './contract.ts';

const checks = suite('workerd');
contract(checks, 'workerd');
checks.run();
