/** Programs for Debian's python3-grpcio, without generated code: messages are bytes. Each prints JSON. */

/** Serves `/echo.Echo/*` on the port that it prints; ends with its standard input. */
export const grpcServer = `
import sys, grpc, time
from concurrent import futures

def say(request, context):
    context.send_initial_metadata((('x-initial', 'one'),))
    context.set_trailing_metadata((('x-trailing', 'two'), ('x-bin-bin', b'\\x00\\xff')))
    return b'said ' + request

def fail(request, context):
    context.set_trailing_metadata((('x-why', 'test'),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'not now: ' + chr(252))

def count(request, context):
    for i in range(int(request)):
        yield b'%d' % i

def add(requests, context):
    return b'%d' % sum(int(each) for each in requests)

def chat(requests, context):
    for each in requests:
        yield b'echo ' + each

cancelled = []
def wait(request, context):
    context.add_callback(lambda: cancelled.append(1))
    yield b'begun'
    while context.is_active():
        time.sleep(0.02)

def seen(request, context):
    return b'%d' % len(cancelled)

handlers = grpc.method_handlers_generic_handler('echo.Echo', {
    'Say': grpc.unary_unary_rpc_method_handler(say),
    'Fail': grpc.unary_unary_rpc_method_handler(fail),
    'Count': grpc.unary_stream_rpc_method_handler(count),
    'Add': grpc.stream_unary_rpc_method_handler(add),
    'Chat': grpc.stream_stream_rpc_method_handler(chat),
    'Wait': grpc.unary_stream_rpc_method_handler(wait),
    'Seen': grpc.unary_unary_rpc_method_handler(seen),
})
server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((handlers,))
if len(sys.argv) > 1:
    key, cert = [open(name, 'rb').read() for name in sys.argv[1:3]]
    port = server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials(((key, cert),)))
else:
    port = server.add_insecure_port('127.0.0.1:0')
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
`;

/** Arguments: port, host, file of the roots, what to do; prints what came of it. */
export const grpcClient = `
import sys, grpc, json, queue, time
port, host, roots, what = sys.argv[1:5]
credentials = grpc.ssl_channel_credentials(open(roots, 'rb').read())
options = [('grpc.ssl_target_name_override', host), ('grpc.default_authority', host), ('grpc.enable_retries', 0)]
channel = grpc.secure_channel('ipv4:127.0.0.1:' + port, credentials, options)

def unary():
    answer, call = channel.unary_unary('/echo.Echo/Say').with_call(b'hello', timeout=10)
    return [answer.decode(), dict(call.initial_metadata()).get('x-initial'), dict(call.trailing_metadata())['x-trailing'],
            list(dict(call.trailing_metadata())['x-bin-bin'])]

def large():
    text = b'x' * 3000000
    return len(channel.unary_unary('/echo.Echo/Say')(text, timeout=20))

def status(method):
    try:
        channel.unary_unary(method)(b'', timeout=10)
        return 'no error'
    except grpc.RpcError as error:
        return [error.code().name, error.details(), dict(error.trailing_metadata()).get('x-why')]

def streams():
    down = [int(each) for each in channel.unary_stream('/echo.Echo/Count')(b'1000', timeout=10)]
    up = channel.stream_unary('/echo.Echo/Add')((b'%d' % i for i in range(1000)), timeout=10)
    return [down == list(range(1000)), int(up)]

def chat():
    # Each message leaves when the answer to the one before it has come: both ways at once, nothing held back.
    asked = queue.Queue()
    answers = channel.stream_stream('/echo.Echo/Chat')(iter(asked.get, None), timeout=20)
    got = []
    for i in range(20):
        asked.put(b'%d' % i)
        got.append(next(answers).decode())
    asked.put(None)
    return [got == ['echo %d' % i for i in range(20)], len(list(answers)), answers.code().name]

def cancel():
    call = channel.unary_stream('/echo.Echo/Wait')(b'', timeout=30)
    begun = next(call).decode()
    call.cancel()
    for i in range(200):
        seen = int(channel.unary_unary('/echo.Echo/Seen')(b'', timeout=10))
        if seen: break
        time.sleep(0.05)
    return [begun, seen]

def deadline():
    try:
        for each in channel.unary_stream('/echo.Echo/Wait')(b'', timeout=0.5): pass
        return 'no error'
    except grpc.RpcError as error:
        return error.code().name

print(json.dumps(eval(what)))
`;
