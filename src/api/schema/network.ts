import { anything, body, flag, integer, list, map, named, object, optional, orNull, text } from './schema.ts';

const ipamConfig = named(
  'IPAMConfig',
  object({
    Subnet: text(),
    IPRange: optional(text()),
    Gateway: optional(text()),
    AuxiliaryAddresses: optional(map(text())),
  }),
);

const common = {
  Name: text(),
  Id: text(),
  Created: text(),
  Scope: text(),
  Driver: text(),
  EnableIPv4: flag(),
  EnableIPv6: flag(),
  IPAM: named('IPAM', object({ Driver: text(), Options: orNull(map(text())), Config: list(ipamConfig) })),
  Internal: flag('Nothing outside is reached'),
  Attachable: flag(),
  Ingress: flag(),
  ConfigFrom: object({ Network: text() }),
  ConfigOnly: flag(),
  Options: orNull(map(text())),
  Labels: orNull(map(text())),
};

const members = map(
  named(
    'EndpointResource',
    object({ Name: text(), EndpointID: text(), MacAddress: text(), IPv4Address: text(), IPv6Address: text() }),
  ),
  'By the containers’ ids',
);

export const networkSummary = named('NetworkSummary', object(common));

export const networkInspect = named(
  'NetworkInspect',
  object({
    ...common,
    Containers: members,
    Gantry: optional(object({ Reach: anything('Who can reach what, in words') })),
  }),
);

export const networkBody = body({
  Name: text(),
  Driver: text(),
  Internal: flag(),
  Attachable: flag(),
  Ingress: flag(),
  ConfigOnly: flag(),
  ConfigFrom: body({ Network: text() }),
  Scope: text(),
  EnableIPv4: flag(),
  EnableIPv6: flag(),
  CheckDuplicate: flag('Names are unique anyway'),
  IPAM: body({
    Driver: text(),
    Options: map(text()),
    Config: list(
      body({
        Subnet: text(),
        IPRange: text(),
        Gateway: text(),
        AuxiliaryAddresses: map(text()),
        AuxAddress: map(text()),
      }),
    ),
  }),
  Options: map(text()),
  Labels: map(text()),
});

export const networkCreated = named('NetworkCreateResponse', object({ Id: text(), Warning: text() }));

/** What a container asks of one network: at connect, and in NetworkingConfig at create. */
export const endpointBody = named(
  'EndpointSettingsRequest',
  body({
    IPAMConfig: body({ IPv4Address: text(), IPv6Address: text(), LinkLocalIPs: list(text()) }),
    Links: list(text()),
    Aliases: list(text()),
    MacAddress: text(),
    DriverOpts: map(text()),
    GwPriority: integer(),
  }),
);

export const connectBody = named('NetworkConnectRequest', body({ Container: text(), EndpointConfig: endpointBody }));
export const disconnectBody = named('NetworkDisconnectRequest', body({ Container: text(), Force: flag() }));

/** An endpoint as a container's answer shows it. */
export const endpointSettings = named(
  'EndpointSettings',
  object({
    IPAMConfig: orNull(
      object({ IPv4Address: optional(text()), IPv6Address: optional(text()), LinkLocalIPs: optional(list(text())) }),
    ),
    Links: orNull(list(text())),
    Aliases: orNull(list(text())),
    MacAddress: text(),
    DriverOpts: orNull(map(text())),
    GwPriority: integer(),
    NetworkID: text(),
    EndpointID: text(),
    Gateway: text(),
    IPAddress: text(),
    IPPrefixLen: integer(),
    IPv6Gateway: text(),
    GlobalIPv6Address: text(),
    GlobalIPv6PrefixLen: integer(),
    DNSNames: orNull(list(text())),
  }),
);
