import type {
  DeployRequest,
  GateOutcome,
  PauseRequest,
  RollbackRequest,
  RolloutOutcome,
  RolloutStep,
  StopRequest,
} from '../src/admin/rollout-types.ts';
import { type Caller, refused } from './client.ts';
import { CliError } from './failure.ts';

/** Why, for the change log. */
interface Reason {
  readonly reason?: string;
}

/** Deploys by way of a running server. Rejects with errors for people. */
export interface RolloutsApi {
  deploy(request: DeployRequest & Reason, onStep: (step: RolloutStep) => void): Promise<RolloutOutcome>;
  rollback(request: RollbackRequest & Reason, onStep: (step: RolloutStep) => void): Promise<RolloutOutcome>;
  pause(request: PauseRequest & Reason): Promise<GateOutcome>;
  resume(request: { readonly name: string } & Reason): Promise<GateOutcome>;
  stop(request: StopRequest & Reason): Promise<GateOutcome>;
}

export function connectRollouts(call: Caller): RolloutsApi {
  const follow = async (path: string, request: { readonly name: string }, onStep: (step: RolloutStep) => void) => {
    let outcome: RolloutOutcome | undefined;
    let error: CliError | undefined;
    await call('POST', path, request, (line) => {
      if (line.step) onStep(line.step);
      else if (line.outcome) outcome = line.outcome;
      else error = refused(line);
    });
    if (error) throw error;
    if (outcome) return outcome;
    const hint = `It may have been stopped. oo status shows where ${request.name} goes now.`;
    throw new CliError('The server ended before the deploy did.', { hint });
  };
  return {
    deploy: (request, onStep) => follow('/v1/deploy', request, onStep),
    rollback: (request, onStep) => follow('/v1/rollback', request, onStep),
    pause: (request) => call('POST', '/v1/pause', request),
    resume: (request) => call('POST', '/v1/resume', request),
    stop: (request) => call('POST', '/v1/stop', request),
  };
}
