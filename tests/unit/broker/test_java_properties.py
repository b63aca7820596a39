"""Settings of librdkafka as the Java client has them."""

import pytest

from fleetlake.broker.settings import java_properties
from fleetlake.foundation.errors import BadInput


def test_a_client_certificate_is_a_pkcs12_file_for_both_clients() -> None:
    given = {"ssl.keystore.location": "/k.p12", "ssl.keystore.password": "x", "ssl.ca.location": "/ca.pem"}
    assert java_properties(given) == {
        "ssl.keystore.location": "/k.p12",
        "ssl.keystore.password": "x",
        "ssl.keystore.type": "PKCS12",
        "ssl.truststore.location": "/ca.pem",
        "ssl.truststore.type": "PEM",
    }


def test_no_check_of_the_host_name_is_empty_in_java() -> None:
    assert java_properties({"ssl.endpoint.identification.algorithm": "none"}) == {"ssl.endpoint.identification.algorithm": ""}


def test_a_key_in_a_file_of_its_own_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"ssl\.key\.location.*PKCS #12"):
        java_properties({"ssl.key.location": "/key.pem"})


def test_a_password_is_quoted() -> None:
    found = java_properties({"sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": 'a"b\\c'})
    assert found["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required " + 'username="u" password="a\\"b\\\\c";'
    )
