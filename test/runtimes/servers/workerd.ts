import { contractServer } from './control.ts';

export default { fetch: contractServer() };
