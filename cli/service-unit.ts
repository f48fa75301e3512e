/** What a systemd unit of `oo serve` is made of. */
export interface UnitOptions {
  /** Absolute path of the executable. */
  readonly executable: string;
  /** Flags of `oo serve`, as they are typed. */
  readonly flags: readonly string[];
  /** Who it runs as; undefined: a user that systemd makes for it, and that can do nothing else. */
  readonly user?: string;
  /** How long a stop may take, s. */
  readonly stopSeconds: number;
}

/** The unit's name, and its state directory's under /var/lib. */
export const unitName = 'oo';
export const unitPath = `/etc/systemd/system/${unitName}.service`;
export const unitStateDir = `/var/lib/${unitName}`;
/** Variables for it, a line each, such as OO_DB_TOKEN: readable by root alone. */
export const unitEnvironment = `/etc/${unitName}/${unitName}.env`;

/**
 * The text of the unit. It may bind low ports and write its state directory, and little else. MemoryDenyWriteExecute is not there: JavaScript is
 * compiled as it runs.
 */
export function unitText({ executable, flags, user, stopSeconds }: UnitOptions): string {
  const command = [executable, 'serve', ...flags].map(quoted).join(' ');
  return `[Unit]
Description=oo, reverse proxy and load balancer
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${command}
Environment=OO_STATE_DIR=${unitStateDir}
EnvironmentFile=-${unitEnvironment}
${user === undefined ? 'DynamicUser=yes' : `User=${user}`}
StateDirectory=${unitName}
StateDirectoryMode=0700
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec=${stopSeconds}
LimitNOFILE=1048576
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK

[Install]
WantedBy=multi-user.target
`;
}

/** A word of ExecStart: percent signs and dollars mean something there, spaces and quotes end it. */
function quoted(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./\\$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll('"', '\\"')}"`;
}
