// The demo's server sends a message when Apideck reports that a connection has changed.

export const changes = new EventSource("/changes");
