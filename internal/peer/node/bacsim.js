// BACnet/IP devices simulated with @bacnet-js/client, a codec that is independent of
// ours. Each has a port of its own.
// usage: node bacsim.js INTERFACE_ADDRESS FIRST_PORT FIRST_DEVICE DEVICES OBJECTS CHANGE_MS
// (port 0 is not possible). Prints "listening" when all of them do. Every CHANGE_MS
// milliseconds, if it is not zero, all analog inputs change.
const B = require('@bacnet-js/client')
const { ApplicationTag: T, ObjectType: O, PropertyIdentifier: P, ErrorClass: EC, ErrorCode: E, Segmentation: S, ConfirmedServiceChoice: C } = B
const [ip, port, first, devices, objects, change] = [process.argv[2], ...process.argv.slice(3).map(Number)]
const key = (o) => o.type + ',' + o.instance
const text = (s) => () => [{ type: T.CHARACTER_STRING, value: s }]
const flags = () => [{ type: T.BIT_STRING, value: { bitsUsed: 4, value: [0] } }]
let listening = 0

function simulate (port, id) {
  const c = new B.default({ port, interface: ip, broadcastAddress: '127.255.255.255', apduTimeout: 1000 })
  const subscriptions = new Map()
  const prio = Array(16).fill(null)
  let step = 0
  const db = {
    [key({ type: O.DEVICE, instance: id })]: {
      [P.OBJECT_NAME]: text('js-sim-ß€ ' + id),
      [P.SYSTEM_STATUS]: () => [{ type: T.ENUMERATED, value: 0 }],
      [P.OBJECT_LIST]: () => Object.keys(db).map((k) => { const [type, instance] = k.split(',').map(Number); return { type: T.OBJECTIDENTIFIER, value: { type, instance } } }),
    },
    [key({ type: O.ANALOG_OUTPUT, instance: 1 })]: {
      [P.OBJECT_NAME]: text('valve'),
      [P.PRESENT_VALUE]: () => [{ type: T.REAL, value: prio.find((v) => v !== null) ?? 0 }],
      [P.PRIORITY_ARRAY]: () => prio.map((v) => v === null ? { type: T.NULL, value: null } : { type: T.REAL, value: v }),
    },
  }
  for (let i = 0; i < objects; i++) {
    db[key({ type: O.ANALOG_INPUT, instance: i })] = {
      [P.OBJECT_NAME]: text('AI ' + i),
      [P.PRESENT_VALUE]: () => [{ type: T.REAL, value: i + step * 10000 }],
      [P.UNITS]: () => [{ type: T.ENUMERATED, value: 62 }],
      [P.STATUS_FLAGS]: flags,
    }
  }
  const get = (o, p) => {
    const obj = db[key(o)]
    if (!obj) return { ec: EC.OBJECT, e: E.UNKNOWN_OBJECT }
    const f = obj[p.id]
    if (!f) return { ec: EC.PROPERTY, e: E.UNKNOWN_PROPERTY }
    const v = f()
    if (p.index === undefined || p.index === 4294967295) return { v }
    if (p.index === 0) return { v: [{ type: T.UNSIGNED_INTEGER, value: v.length }] }
    return v[p.index - 1] ? { v: [v[p.index - 1]] } : { ec: EC.PROPERTY, e: E.INVALID_ARRAY_INDEX }
  }
  const notify = (s) => {
    const values = [{ property: { id: P.PRESENT_VALUE }, value: get(s.o, { id: P.PRESENT_VALUE }).v }, { property: { id: P.STATUS_FLAGS }, value: flags() }]
    if (s.confirmed) c.confirmedCOVNotification(s.to, s.o, s.process, id, s.lifetime, values).catch((e) => console.log('cov', e.message))
    else c.unconfirmedCOVNotification(s.to, s.process, id, s.o, s.lifetime, values)
  }
  c.on('whoIs', (m) => {
    const p = m.payload
    if (p.lowLimit === undefined || (p.lowLimit <= id && id <= p.highLimit)) c.iAmResponse(m.header.sender, id, S.NO_SEGMENTATION, 999)
  })
  c.on('readProperty', (m) => {
    const r = get(m.payload.objectId, m.payload.property)
    if (r.v) c.readPropertyResponse(m.header.sender, m.invokeId, m.payload.objectId, m.payload.property, r.v)
    else c.errorResponse(m.header.sender, C.READ_PROPERTY, m.invokeId, r.ec, r.e)
  })
  c.on('readPropertyMultiple', (m) => {
    c.readPropertyMultipleResponse(m.header.sender, m.invokeId, m.payload.properties.map((o) => ({
      objectId: o.objectId,
      values: o.properties.map((p) => {
        const r = get(o.objectId, p)
        return { property: p, value: r.v || [{ type: 0, value: { type: 'BacnetError', errorClass: r.ec, errorCode: r.e } }] }
      }),
    })))
  })
  c.on('writeProperty', (m) => {
    const { objectId: o, value: v } = m.payload
    if (key(o) !== O.ANALOG_OUTPUT + ',1') return c.errorResponse(m.header.sender, C.WRITE_PROPERTY, m.invokeId, db[key(o)] ? EC.PROPERTY : EC.OBJECT, db[key(o)] ? E.WRITE_ACCESS_DENIED : E.UNKNOWN_OBJECT)
    prio[(v.priority || 16) - 1] = v.value[0].type === T.NULL ? null : v.value[0].value
    c.simpleAckResponse(m.header.sender, C.WRITE_PROPERTY, m.invokeId)
  })
  c.on('subscribeCov', (m) => {
    const p = m.payload
    const o = p.monitoredObjectId || p.objectId
    if (!db[key(o)]) return c.errorResponse(m.header.sender, C.SUBSCRIBE_COV, m.invokeId, EC.OBJECT, E.UNKNOWN_OBJECT)
    const s = { to: m.header.sender, o, process: p.subscriberProcessId, confirmed: p.issueConfirmedNotifications, lifetime: p.lifetime }
    subscriptions.set(key(o), s)
    c.simpleAckResponse(m.header.sender, C.SUBSCRIBE_COV, m.invokeId)
    setImmediate(notify, s)
  })
  c.on('error', (e) => console.log('error', e.message))
  c.on('listening', () => { if (++listening === devices) console.log('listening') })
  if (change > 0) setInterval(() => { step++; for (const s of subscriptions.values()) notify(s) }, change)
}

for (let i = 0; i < devices; i++) simulate(port + i, first + i)
