/* libloragw for a packet forwarder without a concentrator: the radio is a Unix socket, named by the variable RADIO.
 *
 * Both ways structs of loragw_hal.h: lgw_pkt_rx_s to the program, lgw_pkt_tx_s from it. The first one says when the
 * counter began, in µs of CLOCK_MONOTONIC: freq_hz has the high 32 bits, count_us the low ones. The counter wraps
 * soon after the start, as it does on every gateway after 72 minutes.
 */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "loragw_hal.h"
#include "loragw_reg.h"

#define WRAPS_AFTER_US 17000000u

static int radio = -1;
static uint64_t began_us;
static uint32_t free_at;
static int is_busy;
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;

static uint64_t monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint32_t counter(void) { return (uint32_t)(monotonic_us() - began_us); }

int lgw_start(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct lgw_pkt_tx_s hello = {0};
    const char *name = getenv("RADIO");
    if (name == NULL || strlen(name) >= sizeof address.sun_path) return LGW_HAL_ERROR;
    strcpy(address.sun_path, name);
    radio = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(radio, (struct sockaddr *)&address, sizeof address) != 0) return LGW_HAL_ERROR;
    began_us = monotonic_us() + WRAPS_AFTER_US - ((uint64_t)1 << 32);
    hello.freq_hz = (uint32_t)(began_us >> 32);
    hello.count_us = (uint32_t)began_us;
    return send(radio, &hello, sizeof hello, 0) == sizeof hello ? LGW_HAL_SUCCESS : LGW_HAL_ERROR;
}

int lgw_receive(uint8_t most, struct lgw_pkt_rx_s *found) {
    static char buffer[sizeof(struct lgw_pkt_rx_s)];
    static size_t have;
    int count = 0;
    while (count < most) {
        ssize_t size = recv(radio, buffer + have, sizeof buffer - have, MSG_DONTWAIT);
        if (size <= 0) break;
        have += size;
        if (have == sizeof buffer) {
            memcpy(found + count++, buffer, sizeof buffer);
            have = 0;
        }
    }
    return count;
}

uint32_t lgw_time_on_air(struct lgw_pkt_tx_s *packet) {
    int sf = 7;
    while (sf < 12 && packet->datarate != 1u << (sf - 6)) sf++;
    double khz = packet->bandwidth == BW_500KHZ ? 500 : packet->bandwidth == BW_250KHZ ? 250 : 125;
    double bits = 8.0 * packet->size - 4 * sf + 44;
    double symbols = 12.25 + packet->preamble + ceil(bits / (4.0 * (sf - 2 * (sf >= 11)))) * (packet->coderate + 4);
    return (uint32_t)(symbols * pow(2, sf) / khz);
}

int lgw_send(struct lgw_pkt_tx_s packet) {
    pthread_mutex_lock(&sending);
    uint32_t starts = packet.tx_mode == IMMEDIATE ? counter() : packet.count_us;
    free_at = starts + lgw_time_on_air(&packet) * 1000;
    is_busy = 1;
    ssize_t size = send(radio, &packet, sizeof packet, 0);
    pthread_mutex_unlock(&sending);
    return size == sizeof packet ? LGW_HAL_SUCCESS : LGW_HAL_ERROR;
}

int lgw_status(uint8_t which, uint8_t *code) {
    (void)which;
    is_busy = is_busy && (int32_t)(free_at - counter()) > 0;
    *code = is_busy ? TX_EMITTING : TX_FREE;
    return LGW_HAL_SUCCESS;
}

int lgw_get_trigcnt(uint32_t *now) {
    *now = counter();
    return LGW_HAL_SUCCESS;
}

int lgw_stop(void) { return LGW_HAL_SUCCESS; }
int lgw_abort_tx(void) { return LGW_HAL_SUCCESS; }
int lgw_board_setconf(struct lgw_conf_board_s conf) { (void)conf; return LGW_HAL_SUCCESS; }
int lgw_lbt_setconf(struct lgw_conf_lbt_s conf) { (void)conf; return LGW_HAL_SUCCESS; }
int lgw_rxrf_setconf(uint8_t chain, struct lgw_conf_rxrf_s conf) { (void)chain; (void)conf; return LGW_HAL_SUCCESS; }
int lgw_rxif_setconf(uint8_t chain, struct lgw_conf_rxif_s conf) { (void)chain; (void)conf; return LGW_HAL_SUCCESS; }
int lgw_txgain_setconf(struct lgw_tx_gain_lut_s *conf) { (void)conf; return LGW_HAL_SUCCESS; }
int lgw_reg_w(uint16_t register_id, int32_t value) { (void)register_id; (void)value; return LGW_REG_SUCCESS; }
const char *lgw_version_info(void) { return "socket"; }
