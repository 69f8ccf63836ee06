"""The network of the host: one public subnet with a route to the internet.

Where AWS holds the certificate there is a second subnet, and a load balancer.
"""

from typing import Any

from aws_cdk import CfnOutput, CfnResource, CfnTag
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from stacks import _acknowledged
from stacks.site.settings import Site

NETWORK = "10.20.0.0/24"
SUBNETS = ("10.20.0.0/26", "10.20.0.64/26")
ANYWHERE = "0.0.0.0/0"
HTTP, HTTPS = 80, 443
# What a host asks of the world: packages, AWS and who people sign in with; and mail (submission, with TLS from the start or not).
OUTBOUND_PORTS = (HTTP, HTTPS, 465, 587)
# TLS 1.2 with forward secrecy, and 1.3 (Elastic Load Balancing user guide, "Security policies").
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
DRAIN_SECONDS = "30"


class Network(Construct):
    """A VPC with a public subnet for the host (and a second one, which a load balancer needs), and its security groups."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        super().__init__(scope, construct_id)
        self._vpc = ec2.CfnVPC(
            self, "Vpc", cidr_block=NETWORK, enable_dns_hostnames=True, enable_dns_support=True, tags=[_name("cohort")]
        )
        _acknowledged.acknowledge_flow_logs(self._vpc)
        gateway = ec2.CfnInternetGateway(self, "Gateway", tags=[_name("cohort")])
        attachment = ec2.CfnVPCGatewayAttachment(self, "Attachment", vpc_id=self._vpc.ref, internet_gateway_id=gateway.ref)
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=self._vpc.ref, tags=[_name("cohort")])
        way_out = ec2.CfnRoute(self, "Outwards", route_table_id=routes.ref, destination_cidr_block=ANYWHERE, gateway_id=gateway.ref)
        way_out.add_resource_dependency(attachment)
        # What has to be there before anything in a subnet reaches the internet, though nothing there refers to it.
        self.internet_routes: list[CfnResource] = [way_out]
        zones = site.zones if site.tls == "acm" else site.zones[:1]
        self.subnets = [self._subnet(number, zone, routes) for number, zone in enumerate(zones)]
        self.balancer: LoadBalancer | None = None
        if site.tls == "acm":
            self.balancer = LoadBalancer(self, "Balancer", site=site, vpc_id=self._vpc.ref, subnets=self.subnets)
            self.balancer.node.add_dependency(*self.internet_routes)
        self.host_group = self._host_group()

    def _subnet(self, number: int, zone: str, routes: ec2.CfnRouteTable) -> str:
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{number + 1}",
            vpc_id=self._vpc.ref,
            cidr_block=SUBNETS[number],
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags=[_name(f"cohort-{number + 1}")],
        )
        _acknowledged.acknowledge_zone(subnet)
        self.internet_routes.append(
            ec2.CfnSubnetRouteTableAssociation(self, f"Subnet{number + 1}Routes", subnet_id=subnet.ref, route_table_id=routes.ref)
        )
        return subnet.ref

    def _host_group(self) -> str:
        if self.balancer is not None:
            inwards = [_allow(HTTP, "The load balancer alone", source_security_group_id=self.balancer.group)]
        else:
            inwards = [_allow(HTTP, "Redirected to HTTPS", cidr_ip=ANYWHERE), _allow(HTTPS, "The site", cidr_ip=ANYWHERE)]
        group = ec2.CfnSecurityGroup(
            self,
            "HostGroup",
            group_description="The host of Cohort: web alone comes in",
            vpc_id=self._vpc.ref,
            security_group_ingress=inwards,
            security_group_egress=[_allow_out(port, f"TCP {port}", ANYWHERE) for port in OUTBOUND_PORTS],
            tags=[_name("cohort-host")],
        )
        if self.balancer is None:
            _acknowledged.acknowledge_open_web(group)
        return group.attr_group_id


class LoadBalancer(Construct):
    """A load balancer that ends TLS with AWS's own certificate; the host serves plain HTTP to it and to nobody else."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, vpc_id: str, subnets: list[str]) -> None:
        super().__init__(scope, construct_id)
        group = ec2.CfnSecurityGroup(
            self,
            "Group",
            group_description="The load balancer of Cohort: web comes in, the host alone is reached",
            vpc_id=vpc_id,
            security_group_ingress=[
                _allow(HTTP, "Redirected to HTTPS", cidr_ip=ANYWHERE),
                _allow(HTTPS, "The site", cidr_ip=ANYWHERE),
            ],
            security_group_egress=[_allow_out(HTTP, "The host", NETWORK)],
            tags=[_name("cohort-balancer")],
        )
        _acknowledged.acknowledge_open_web(group)
        self.group = group.attr_group_id
        balancer = elb.CfnLoadBalancer(
            self,
            "Balancer",
            name="cohort",
            type="application",
            scheme="internet-facing",
            subnets=subnets,
            security_groups=[self.group],
            load_balancer_attributes=[
                elb.CfnLoadBalancer.LoadBalancerAttributeProperty(key=key, value=value)
                for key, value in {
                    "routing.http.drop_invalid_header_fields.enabled": "true",
                    # Pages that show progress wait a minute for their next event.
                    "idle_timeout.timeout_seconds": "120",
                }.items()
            ],
        )
        _acknowledged.acknowledge_balancer_logs(balancer)
        target = elb.CfnTargetGroup(
            self,
            "Target",
            name="cohort",
            vpc_id=vpc_id,
            port=HTTP,
            protocol="HTTP",
            target_type="instance",
            health_check_path="/readyz",
            health_check_interval_seconds=15,
            healthy_threshold_count=2,
            unhealthy_threshold_count=3,
            matcher=elb.CfnTargetGroup.MatcherProperty(http_code="200"),
            target_group_attributes=[
                elb.CfnTargetGroup.TargetGroupAttributeProperty(key="deregistration_delay.timeout_seconds", value=DRAIN_SECONDS)
            ],
        )
        self.target = target.ref
        self.certificate = site.certificate_arn or _certificate(self, site)
        self._listen(balancer.ref)
        CfnOutput(self, "Name", value=balancer.attr_dns_name, description="Where the site's DNS name (CNAME or alias) leads")

    def _listen(self, balancer: str) -> None:
        elb.CfnListener(
            self,
            "Https",
            load_balancer_arn=balancer,
            port=HTTPS,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificates=[elb.CfnListener.CertificateProperty(certificate_arn=self.certificate)],
            default_actions=[elb.CfnListener.ActionProperty(type="forward", target_group_arn=self.target)],
        )
        redirect = elb.CfnListener.RedirectConfigProperty(protocol="HTTPS", port=str(HTTPS), status_code="HTTP_301")
        elb.CfnListener(
            self,
            "Http",
            load_balancer_arn=balancer,
            port=HTTP,
            protocol="HTTP",
            default_actions=[elb.CfnListener.ActionProperty(type="redirect", redirect_config=redirect)],
        )


def _certificate(scope: Construct, site: Site) -> str:
    return acm.CfnCertificate(scope, "Certificate", domain_name=site.domain, validation_method="DNS", tags=[_name("cohort")]).ref


def _allow(port: int, description: str, **source: Any) -> ec2.CfnSecurityGroup.IngressProperty:
    return ec2.CfnSecurityGroup.IngressProperty(ip_protocol="tcp", from_port=port, to_port=port, description=description, **source)


def _allow_out(port: int, description: str, cidr: str) -> ec2.CfnSecurityGroup.EgressProperty:
    return ec2.CfnSecurityGroup.EgressProperty(
        ip_protocol="tcp", from_port=port, to_port=port, description=description, cidr_ip=cidr
    )


def _name(name: str) -> CfnTag:
    return CfnTag(key="Name", value=name)
