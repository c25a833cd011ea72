// The connectors of this web application, with Apideck's ids.

export const GROUPS = [
  {
    unified_api: "accounting",
    title: "Accounting",
    connectors: [
      { service_id: "quickbooks", name: "QuickBooks", purpose: "Turn field hours into invoices" },
      { service_id: "xero", name: "Xero", purpose: "Book expenses from the road" },
      { service_id: "netsuite", name: "NetSuite", purpose: "Match projects with budgets" },
    ],
  },
  {
    unified_api: "crm",
    title: "Customers",
    connectors: [
      { service_id: "hubspot", name: "HubSpot", purpose: "File visits under contacts" },
      { service_id: "salesforce", name: "Salesforce", purpose: "Log visits on opportunities" },
    ],
  },
  {
    unified_api: "hris",
    title: "People",
    connectors: [
      { service_id: "bamboohr", name: "BambooHR", purpose: "Know who is away" },
    ],
  },
];

const KINDS = ["accounting", "crm", "hris"];
const KNOWN = GROUPS.flatMap(({ unified_api, connectors }) =>
  connectors.map((connector) => ({ ...connector, unified_api, symbol: connector.service_id })),
);

/** Returns the connectors of a group, with their unified API and symbol. */
export function connectorsOf({ unified_api }) {
  return KNOWN.filter((connector) => connector.unified_api === unified_api);
}

/** Returns a connector of this application by its id, or undefined. */
export function knownConnector(serviceId) {
  return KNOWN.find((connector) => connector.service_id === serviceId);
}

/** Returns a connection as a connector, whether this application knows it or only Apideck does. */
export function connectorOf({ unified_api, service_id, name, tag_line }) {
  const known = KNOWN.find(
    (connector) => connector.unified_api === unified_api && connector.service_id === service_id,
  );
  const symbol = KINDS.includes(unified_api) ? unified_api : "other";
  return known ?? { unified_api, service_id, name: name ?? service_id, purpose: tag_line, symbol };
}

/** Tells whether this application knows a connector. */
export function isKnown(connection) {
  return KNOWN.includes(connectorOf(connection));
}
