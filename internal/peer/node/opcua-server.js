// An OPC UA server for the tests of protocols/opcua, made with node-opcua.
//
//   node opcua-server.js '{"port": 4840, "pki": "/folder", ...}'
//
// It prints "ready URL" when it listens. See internal/peer/opcua.go for the options.
const fs = require("fs");
const path = require("path");
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { DataValue } = require("node-opcua-data-value");
const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { StatusCodes } = require("node-opcua-status-code");
const { nodesets } = require("node-opcua-nodesets");

const options = Object.assign(
  { port: 4840, variables: 0, period: 0, anonymous: true, limits: {}, pki: "pki" },
  JSON.parse(process.argv[2] || "{}")
);

const types = `<?xml version="1.0" encoding="utf-8"?>
<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd">
  <NamespaceUris><Uri>urn:test:types</Uri></NamespaceUris>
  <Models><Model ModelUri="urn:test:types" Version="1.0.0" PublicationDate="2026-01-01T00:00:00Z"/></Models>
  <UADataType NodeId="ns=1;i=3000" BrowseName="1:Sample">
    <DisplayName>Sample</DisplayName>
    <References><Reference ReferenceType="i=45" IsForward="false">i=22</Reference></References>
    <Definition Name="1:Sample">
      <Field Name="Level" DataType="i=11"/>
      <Field Name="Label" DataType="i=12"/>
      <Field Name="Counts" DataType="i=6" ValueRank="1"/>
    </Definition>
  </UADataType>
  <UAObject NodeId="ns=1;i=3001" BrowseName="Default Binary" SymbolicName="DefaultBinary">
    <DisplayName>Default Binary</DisplayName>
    <References>
      <Reference ReferenceType="i=38" IsForward="false">ns=1;i=3000</Reference>
      <Reference ReferenceType="i=40">i=76</Reference>
    </References>
  </UAObject>
</UANodeSet>`;

async function main() {
  fs.mkdirSync(options.pki, { recursive: true });
  const typesFile = path.join(options.pki, "types.xml");
  fs.writeFileSync(typesFile, types);
  const certificates = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(options.pki, "server") });
  await certificates.initialize();
  const users = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(options.pki, "users") });
  await users.initialize();
  const server = new OPCUAServer({
    port: options.port,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    resourcePath: "/UA/Test",
    serverCertificateManager: certificates,
    userCertificateManager: users,
    nodeset_filename: [nodesets.standard, typesFile],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [
      SecurityPolicy.None, SecurityPolicy.Basic128Rsa15, SecurityPolicy.Basic256, SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep, SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    allowAnonymous: options.anonymous,
    userManager: { isValidUser: (user, password) => user === "user" && password === "pass" },
    serverCapabilities: { maxSessions: 50, maxMonitoredItems: 200000, maxMonitoredItemsPerSubscription: 200000, operationLimits: options.limits },
  });
  await server.initialize();
  build(server.engine.addressSpace);
  await server.start();
  console.log("ready", server.getEndpointUrl());
  process.on("SIGTERM", async () => {
    await server.shutdown(10);
    process.exit(0);
  });
}

// build makes the nodes. The own namespace is urn:...; its index is 1, that of the
// types is 2.
function build(space) {
  const ns = space.getOwnNamespace();
  const dev = ns.addObject({ organizedBy: space.rootFolder.objects, browseName: "Dev", nodeId: "s=Dev" });
  let counter = 0;
  setInterval(() => counter++, 100);
  const variable = (name, dataType, value, more) => ns.addVariable(Object.assign({
    componentOf: dev, browseName: name, nodeId: "s=" + name, dataType, minimumSamplingInterval: 50,
    value: { dataType, value },
  }, more));
  ns.addVariable({
    componentOf: dev, browseName: "Counter", nodeId: "s=Counter", dataType: "Int32", minimumSamplingInterval: 50,
    value: { get: () => new Variant({ dataType: DataType.Int32, value: counter }) },
  });
  variable("Name", "String", "pump");
  variable("Setpoint", "Double", 21.5);
  variable("Small", "SByte", 5);
  variable("Flag", "Boolean", true);
  variable("Füllstand Öl %", "Float", 0.5);
  variable("Text", "LocalizedText", { text: "hallo", locale: "de" });
  variable("Moment", "DateTime", new Date("2024-01-02T03:04:05.678Z"));
  variable("Bytes", "ByteString", Buffer.from("01feff", "hex"));
  variable("Arr", "Float", new Float32Array([1, 2.5, 3]), { valueRank: 1, value: { dataType: DataType.Float, arrayType: VariantArrayType.Array, value: new Float32Array([1, 2.5, 3]) } });
  const sample = space.findDataType("Sample", 2);
  variable("Sample", "Sample", null, {
    dataType: sample,
    value: { dataType: DataType.ExtensionObject, value: space.constructExtensionObject(sample, { level: 1.5, label: "x", counts: [1, 2] }) },
  });
  ns.addVariable({
    componentOf: dev, browseName: "Broken", nodeId: "s=Broken", dataType: "Double",
    minimumSamplingInterval: 50,
    value: { timestamped_get: () => new DataValue({ statusCode: StatusCodes.BadSensorFailure }) },
  });
  for (let i = 0; i < options.variables; i++) {
    ns.addVariable({
      componentOf: dev, browseName: "v" + i, nodeId: "s=v" + i, dataType: "Int32", minimumSamplingInterval: Math.max(options.period, 100),
      value: { get: () => new Variant({ dataType: DataType.Int32, value: options.period ? i + Math.floor(Date.now() / options.period) % 1000 : i }) },
    });
  }
  const add = ns.addMethod(dev, {
    nodeId: "s=Add", browseName: "Add",
    inputArguments: [{ name: "a", dataType: DataType.Int32 }, { name: "b", dataType: DataType.Int32 }],
    outputArguments: [{ name: "sum", dataType: DataType.Int32 }],
  });
  add.bindMethod((args, context, done) => done(null, {
    statusCode: StatusCodes.Good,
    outputArguments: [{ dataType: DataType.Int32, value: args[0].value + args[1].value }],
  }));
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
