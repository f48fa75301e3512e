/** The head scanners and their words, in one place for the edge. */
export { BAD, DONE, MORE } from './bytes.ts';
export type { HeadLimits } from './names.ts';
export {
  FORM_ABSOLUTE,
  FORM_ASTERISK,
  FORM_ORIGIN,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  RequestScanner,
} from './request.ts';
export { ResponseScanner } from './response.ts';
